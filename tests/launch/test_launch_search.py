"""launch/index.py and launch/search.py as a user meets them."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tiny_indexes

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _run(
  launcher: str, *arguments: str, cwd: pathlib.Path
) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, str(_ROOT / "launch" / launcher), *arguments],
    cwd=cwd,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("launch")
  tiny_indexes.make(path / "index")
  (path / "index" / "broken").mkdir()
  (path / "song.mp3").write_bytes(b"sound")
  return path


@pytest.mark.parametrize(
  ("launcher", "arguments", "code", "culprit"),
  [
    ("search.py", ["piano"], 2, "--index"),
    ("search.py", ["--index=index"], 2, "nothing to search for"),
    ("search.py", ["--index=nowhere", "piano"], 2, "nowhere: no such index"),
    ("search.py", ["--index=index/broken", "piano"], 2, "no index here"),
    ("search.py", ["--index=index", "piana"], 2, "near it: piano"),
    ("search.py", ["--index=index", "+piano", "-drums"], 2, "pair of quotes"),
    ("search.py", ["--index=index", "gone.mp3"], 1, "gone.mp3: no such file"),
    ("search.py", ["--index=index", "song.mp3"], 2, "no exported model"),
    ("search.py", ["--index=index", "--kk=3", "piano"], 2, "kk"),
    ("search.py", ["--index=index", "--k=0", "piano"], 2, "--k=0"),
    ("index.py", ["--embeddings=e"], 2, "--output"),
    ("index.py", ["--output=o"], 2, "what to index"),
    ("index.py", ["--output=o", "--embeddings=e"], 2, "e: no such folder"),
    ("index.py", ["--output=o", "music"], 2, "needs --model"),
    ("index.py", ["--output=o", "--kind=best", "m"], 2, "kind"),
  ],
)
def test_a_wrong_call_is_one_line(
  folder: pathlib.Path,
  launcher: str,
  arguments: list[str],
  code: int,
  culprit: str,
) -> None:
  done = _run(launcher, *arguments, cwd=folder)
  assert done.returncode == code, done.stderr
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert done.stdout == ""
  assert not (folder / "o").exists()


def test_words_are_answered_in_order_and_without_tensorflow(
  folder: pathlib.Path,
) -> None:
  program = (
    "import sys, runpy; sys.modules.update(tensorflow=None, pandas=None);"
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
  )
  launcher = str(_ROOT / "launch" / "search.py")
  queries = ["piano", "-drums +bebop", "r7", "hard bop -r9"]
  done = subprocess.run(
    [sys.executable, "-c", program, launcher, "--index=index", "--json"]
    + [*queries, "-k", "3", "--exclude_same_artist"],
    cwd=folder,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr == ""
  answers = json.loads(done.stdout)
  assert [answer["query"] for answer in answers] == queries
  assert [len(answer["hits"]) for answer in answers] == [3] * 4
  assert not {"r6", "r7", "r8"} & {hit["id"] for hit in answers[2]["hits"]}


def test_a_file_of_vectors_is_indexed_added_to_and_searched(
  tmp_path: pathlib.Path,
) -> None:
  vectors = tiny_indexes.vectors(6)
  for name, part in (("a", slice(0, 4)), ("b", slice(3, 6))):
    ids = np.arange(6)[part]
    np.savez(tmp_path / f"{name}.npz", ids=ids, vectors=vectors[part])
  done = _run("index.py", "--output=i", "--embeddings=a.npz", cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert "4 recordings (4 added)" in done.stdout
  assert "flat: all are compared" in done.stdout
  refused = _run("index.py", "--output=i", "--embeddings=b.npz", cwd=tmp_path)
  assert refused.returncode == 2
  assert "--add adds to it" in refused.stderr
  done = _run(
    "index.py", "--output=i", "--embeddings=b.npz", "--add", cwd=tmp_path
  )
  assert done.returncode == 0, done.stderr
  assert "6 recordings (2 added, 1 as before)" in done.stdout
  found = _run("search.py", "--index=i", "4", "--k=2", cwd=tmp_path)
  unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  best = [n for n in np.argsort(-unit @ unit[4]) if n != 4][:2]
  rows = found.stdout.splitlines()[2:]
  assert [row.split()[2] for row in rows] == [str(n) for n in best]
