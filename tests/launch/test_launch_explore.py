"""launch/explore.py as a user meets it: in a process of its own."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import tiny_indexes

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _command(*arguments: str) -> list[str]:
  return [sys.executable, str(_ROOT / "launch" / "explore.py"), *arguments]


def _run(
  folder: pathlib.Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    _command(*arguments),
    cwd=folder,
    env={**os.environ, **environment},
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Holds `index`, `file` and `empty`."""
  made = tmp_path_factory.mktemp("explore")
  tiny_indexes.make(made / "index")
  (made / "file").write_text("x")
  (made / "empty").mkdir()
  return made


@pytest.mark.parametrize(
  ("arguments", "culprit"),
  [
    ([], "--index"),
    (["--index=nowhere"], "nowhere: no such index"),
    (["--index=empty"], "empty: no index here"),
    (["--index=index", "more"], "'more'"),
    (["--index=index", "--layout=tsne"], "--layout=tsne"),
    (["--index=index", "--copy_audio"], "--copy_audio: only with --static"),
    (["--index=index", "--layout=pca", "--static=file"], "is a file"),
    (["--index=index", "--layout=pca", "--static=."], "something else"),
    (["--index=index", "--layout=pca", "--model=empty"], "empty: no exported"),
    (["--index=index", "--layout=pca", "--port=99999"], "--port=99999"),
    (["--index=index", "--layout=pca", "--host=192.0.2.1"], "192.0.2.1"),
    (["--index=index", "--layout=pca", "--host=no.invalid"], "no.invalid"),
  ],
)
def test_a_wrong_call_is_one_line(
  arguments: list[str], culprit: str, folder: pathlib.Path
) -> None:
  done = _run(folder, *arguments)
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line


def test_without_the_server_library_it_says_what_to_install(
  folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  # As where it is not installed: nothing finds it.
  (tmp_path / "sitecustomize.py").write_text(
    "import importlib.util as u\n"
    "found = u.find_spec\n"
    "hidden = ('starlette', 'umap')\n"
    "u.find_spec = lambda n, p=None: None if n in hidden else found(n, p)\n"
  )
  hidden = {"PYTHONPATH": str(tmp_path)}
  done = _run(folder, "--index=index", **hidden)
  assert done.returncode == 2
  assert "pip install 'music_embed[explore]'" in done.stderr
  done = _run(folder, "--index=index", "--layout=umap", **hidden)
  assert done.returncode == 2
  assert "pip install 'music_embed[explore]'" in done.stderr
  done = _run(folder, "--index=index", "--static=page", **hidden)
  assert done.returncode == 0, done.stderr
  assert "by PCA" in done.stdout
  assert (folder / "page" / "index.html").exists()


def test_another_models_index_is_refused(folder: pathlib.Path) -> None:
  other = folder / "other"
  other.mkdir(exist_ok=True)
  (other / "model.json").write_text('{"fingerprint": "another"}')
  done = _run(folder, "--index=index", "--layout=pca", "--model=other")
  assert done.returncode == 2
  assert "another model than the one that made this index" in done.stderr


def test_an_interrupted_layout_ends_at_once_and_leaves_nobody(
  tmp_path: pathlib.Path,
) -> None:
  tiny_indexes.make(tmp_path / "index", 3000)
  with subprocess.Popen(
    _command(f"--index={tmp_path / 'index'}", "--port=0"),
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    process_group=0,
  ) as process:
    child = _child(process.pid)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
  assert time.monotonic() - begun < 10
  assert process.returncode == 130
  assert "interrupted" in complaints.splitlines()[-1]
  assert "Traceback" not in complaints
  assert not pathlib.Path(f"/proc/{child}").exists()
  assert not list((tmp_path / "index").glob("explore*"))


def _child(parent: int) -> int:
  """The process that lays out, once it is there."""
  deadline = time.monotonic() + 60
  listing = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
  while time.monotonic() < deadline:
    for child in listing.read_text().split():
      line = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
      if b"layout_worker" in line:
        return int(child)
    time.sleep(0.05)
  raise AssertionError("no process lays out")
