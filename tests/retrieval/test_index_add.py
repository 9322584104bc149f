"""Indexes that are added to, replaced, killed on the way, or damaged."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tiny_indexes

from music_embed.core import errors, files
from music_embed.retrieval import build, entries
from music_embed.retrieval import index as index_lib

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _files(folder: pathlib.Path) -> dict[str, bytes]:
  return {
    name: (folder / name).read_bytes()
    for name in sorted(os.listdir(folder))
    if name != ".lock"
  }


def _open(folder: pathlib.Path) -> index_lib.Index:
  return index_lib.Index.open(str(folder))


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_recordings_are_added_behind_those_that_are_there(
  tmp_path: pathlib.Path, kind: str
) -> None:
  before = tiny_indexes.make(tmp_path, 800, kind=kind)
  more = tiny_indexes.recordings(100, seed=3, first=800)
  built = build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
  assert (built.written.added, built.written.size) == (100, 900)
  index = _open(tmp_path)
  assert (index.kind, index.size) == (kind, 900)
  np.testing.assert_array_equal(index.vectors[:800], before.vectors)
  assert list(index.catalogue.ids) == [f"r{n}" for n in range(900)]
  scores, rows = index.nearest(more.vectors, 1)
  np.testing.assert_array_equal(rows[:, 0], np.arange(800, 900))
  np.testing.assert_allclose(scores, 1, atol=1e-6)
  assert index.label_names is not None


def test_an_older_index_that_is_open_stays_what_it_was(
  tmp_path: pathlib.Path,
) -> None:
  before = tiny_indexes.make(tmp_path, 800, kind="ivf")
  more = tiny_indexes.recordings(100, seed=3, first=800)
  build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
  _, rows = before.nearest(more.vectors, 5)  # Its lists are read only now.
  assert before.size == 800
  assert rows.max() < 800


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_a_recording_that_is_given_again_takes_its_own_place(
  tmp_path: pathlib.Path, kind: str
) -> None:
  tiny_indexes.make(tmp_path, 800, kind=kind)
  again = tiny_indexes.recordings(30, seed=8, first=10)
  again = dataclasses.replace(again, titles=["new"] * 30)
  built = build.build(str(tmp_path), tiny_indexes.source(again), mode="add")
  assert built.written.added == 0
  assert built.written.changed.tolist() == list(range(10, 40))
  index = _open(tmp_path)
  assert index.size == 800
  assert index.catalogue.titles[10:40] == ["new"] * 30
  assert index.catalogue.titles[40] == "Title 40"
  scores, rows = index.nearest(again.vectors, 1)
  np.testing.assert_array_equal(rows[:, 0], np.arange(10, 40))
  np.testing.assert_allclose(scores, 1, atol=1e-6)


def test_a_new_title_is_no_new_vector(tmp_path: pathlib.Path) -> None:
  tiny_indexes.make(tmp_path, 20)
  again = tiny_indexes.recordings(20)
  titles = ["other", *again.titles[1:]]
  given = tiny_indexes.source(dataclasses.replace(again, titles=titles))
  written = build.build(str(tmp_path), given, mode="add").written
  assert (written.described, written.same) == (1, 19)
  assert not len(written.changed)
  assert _open(tmp_path).catalogue.titles[:2] == ["other", "Title 1"]


@pytest.mark.parametrize("mode", ["new", "add", "overwrite"])
@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_the_same_recordings_again_change_nothing(
  tmp_path: pathlib.Path, mode: build.Mode, kind: str
) -> None:
  tiny_indexes.make(tmp_path, 300, kind=kind)
  before = _files(tmp_path)
  given = tiny_indexes.source(tiny_indexes.recordings(300))
  built = build.build(str(tmp_path), given, mode=mode)
  assert not built.is_new
  assert _files(tmp_path) == before


def test_other_recordings_need_a_word_of_yours(tmp_path: pathlib.Path) -> None:
  tiny_indexes.make(tmp_path, 20)
  before = _files(tmp_path)
  given = tiny_indexes.source(tiny_indexes.recordings(20, seed=5))
  with pytest.raises(errors.ConfigError, match="--add adds to it, --overwrite"):
    build.build(str(tmp_path), given)
  assert _files(tmp_path) == before
  build.build(str(tmp_path), given, mode="overwrite")
  tiny_indexes_b = tmp_path / "b"
  build.build(str(tiny_indexes_b), given)
  np.testing.assert_array_equal(
    _open(tmp_path).vectors, _open(tiny_indexes_b).vectors
  )


def test_centres_are_kept_until_the_index_has_doubled(
  tmp_path: pathlib.Path,
) -> None:
  tiny_indexes.make(tmp_path, 800, kind="ivf")
  for first, size, trained_on, tuned_on in (
    (800, 40, 800, 800),
    (840, 700, 800, 1540),
    (1540, 60, 1600, 1600),
  ):
    more = tiny_indexes.recordings(size, seed=1, first=first)
    build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
    finder = _open(tmp_path).card.finder
    assert finder["trained_on"] == trained_on
    assert finder["tuned_on"] == tuned_on


def _tight(size: int) -> entries.Entries:
  """Recordings so near each other that codes hardly tell them apart."""
  some = tiny_indexes.recordings(size)
  some.vectors[:] = some.vectors[:1] + 1e-3 * some.vectors
  return some


def test_recordings_near_each_other_get_more_candidates(
  tmp_path: pathlib.Path,
) -> None:
  far = tiny_indexes.recordings(100, seed=5, first=300)
  both = tiny_indexes.source(_tight(300), far)
  build.build(str(tmp_path), both, kind="ivf")
  finder = _open(tmp_path).card.finder
  assert finder["factor"] > 4
  assert min(finder["recall_at_10"].values()) >= 0.995


def test_centres_that_do_not_fit_new_recordings_are_made_anew(
  tmp_path: pathlib.Path,
) -> None:
  build.build(str(tmp_path), tiny_indexes.source(_tight(1600)), kind="ivf")
  more = tiny_indexes.recordings(1500, seed=5, first=1600)
  build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
  finder = _open(tmp_path).card.finder
  assert finder["trained_on"] == finder["tuned_on"] == 3100
  assert min(finder["recall_at_10"].values()) >= 0.995


def test_an_index_outgrows_comparing_all(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  from music_embed.retrieval import finder_build

  monkeypatch.setattr(finder_build, "FLAT_UP_TO", 500)
  assert tiny_indexes.make(tmp_path, 500).kind == "flat"
  more = tiny_indexes.recordings(1, seed=3, first=500)
  build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
  index = _open(tmp_path)
  assert index.kind == "ivf"
  assert sorted(os.listdir(tmp_path)) == sorted(
    [".lock", "index.json", *(s.name for s in index.card.stored.values())]
  )


@pytest.mark.parametrize(
  ("fingerprint", "dim", "culprit"),
  [
    ("e" * 64, 8, "another model's vectors"),
    ("", 8, "--model"),
    ("f" * 64, 5, "8 numbers a vector"),
  ],
)
def test_vectors_of_another_model_are_refused(
  tmp_path: pathlib.Path, fingerprint: str, dim: int, culprit: str
) -> None:
  tiny_indexes.make(tmp_path, 20)
  before = _files(tmp_path)
  bare = entries.Entries.bare(["x"], tiny_indexes.vectors(1, dim=dim))
  given = tiny_indexes.source(bare, fingerprint=fingerprint, with_words=False)
  with pytest.raises(errors.ConfigError, match=culprit):
    build.build(str(tmp_path), given, mode="add")
  assert _files(tmp_path) == before


def _bad_batches() -> Iterator[tuple[str, entries.Entries]]:
  good = tiny_indexes.recordings(3)
  yield "'r0': is given twice", dataclasses.replace(good, ids=["a", "r0", "r0"])
  vectors = good.vectors.copy()
  vectors[1, 2] = np.nan
  yield "'r1': its vector", dataclasses.replace(good, vectors=vectors)
  yield "no recording", entries.Entries.bare([], np.zeros((0, 8)))


@pytest.mark.parametrize(("culprit", "batch"), list(_bad_batches()))
@pytest.mark.parametrize("mode", ["new", "add"])
def test_bad_recordings_leave_nothing_behind(
  tmp_path: pathlib.Path,
  culprit: str,
  batch: entries.Entries,
  mode: build.Mode,
) -> None:
  if mode == "add":
    if not len(batch):
      return
    tiny_indexes.make(tmp_path, 5)
  before = _files(tmp_path)
  with pytest.raises(errors.DataError, match=culprit):
    build.build(str(tmp_path), tiny_indexes.source(batch), mode=mode)
  assert _files(tmp_path) == before


_KILLED = """
import os, signal, sys
import tiny_indexes
from music_embed.retrieval import build
folder, kind, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
parts = [tiny_indexes.recordings(150, n, 150 * n) for n in range(4)]
given = 0
def until_killed():
  global given
  for part in parts:
    yield part
    given += 1
    if given == batches:
      os.kill(os.getpid(), signal.SIGKILL)
source = tiny_indexes.source(*parts)
source = build.Source(until_killed, 8, source.fingerprint, "", source.words)
build.build(folder, source, kind=kind, mode=sys.argv[4])
"""


def _build_killed(folder: pathlib.Path, batches: int, mode: str) -> int:
  paths = [str(_ROOT), str(_ROOT / "tests" / "benchmarks")]
  return subprocess.run(
    [sys.executable, "-c", _KILLED, folder, "ivf", str(batches), mode],
    env=os.environ
    | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
    stderr=subprocess.DEVNULL,
    timeout=120,
    check=False,
  ).returncode


@pytest.mark.parametrize(("batches", "mode"), [(7, "new"), (2, "add")])
def test_a_killed_build_ends_in_the_same_bytes(
  tmp_path: pathlib.Path, batches: int, mode: str
) -> None:
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  for folder in (killed, whole):
    if mode == "add":
      tiny_indexes.make(folder, 100, kind="ivf")
  before = _files(killed) if mode == "add" else {}
  assert _build_killed(killed, batches, mode) == -signal.SIGKILL
  if mode == "add":  # The older one is untouched.
    assert before.items() <= _files(killed).items()
    assert _open(killed).size == 100
  assert _build_killed(killed, 0, mode) == 0
  assert _build_killed(whole, 0, mode) == 0
  assert _files(killed) == _files(whole)
  assert _open(killed).size == 600


def test_files_of_a_build_that_was_killed_late_are_cleared_away(
  tmp_path: pathlib.Path,
) -> None:
  tiny_indexes.make(tmp_path, 20)
  for name in ("vectors-00002.npy", "labels-00002.tsv", "finder-00002.faiss"):
    (tmp_path / name).write_bytes(b"half")
  (tmp_path / "vectors-00003.npy.tmp123").write_bytes(b"half")
  (tmp_path / "notes.txt").write_text("mine")
  more = tiny_indexes.recordings(5, seed=3, first=20)
  build.build(str(tmp_path), tiny_indexes.source(more), mode="add")
  named = {stored.name for stored in _open(tmp_path).card.stored.values()}
  assert set(os.listdir(tmp_path)) == named | {
    ".lock",
    "index.json",
    "notes.txt",
  }


def test_two_builds_at_once_do_not_mix(tmp_path: pathlib.Path) -> None:
  tiny_indexes.make(tmp_path, 20)
  given = tiny_indexes.source(tiny_indexes.recordings(5, first=20))
  with (
    files.exclusive(str(tmp_path / ".lock"), "the other"),
    pytest.raises(errors.DataError, match="another process is writing"),
  ):
    build.build(str(tmp_path), given, mode="add")


@pytest.mark.parametrize("name", ["vectors", "catalogue", "labels", "finder"])
@pytest.mark.parametrize("damage", ["cut", "gone", "noise"])
def test_a_damaged_file_is_named(
  tmp_path: pathlib.Path, name: str, damage: str
) -> None:
  tiny_indexes.make(tmp_path, 300, kind="ivf")
  (path,) = tmp_path.glob(f"{name}-*")
  data = path.read_bytes()
  if damage == "gone":
    path.unlink()
  else:
    noise = bytes(len(data))
    path.write_bytes(data[:-9] if damage == "cut" else noise)

  def used() -> None:
    index = _open(tmp_path)
    index.nearest(np.eye(8)[:1], 3)
    _ = index.label_names

  with pytest.raises(errors.DataError, match=path.name):
    used()


@pytest.mark.parametrize(
  ("text", "error", "culprit"),
  [
    (None, errors.ConfigError, "no index here"),
    ("{}", errors.ConfigError, "not an index that this version reads"),
    ("{", errors.DataError, "not JSON"),
    ('{"format": "music_embed.index/1"}', errors.DataError, "damaged"),
  ],
)
def test_a_folder_that_is_no_index_is_named(
  tmp_path: pathlib.Path,
  text: str | None,
  error: type[Exception],
  culprit: str,
) -> None:
  if text is not None:
    (tmp_path / "index.json").write_text(text)
  with pytest.raises(error, match=culprit):
    _open(tmp_path)
  with pytest.raises(errors.ConfigError, match="no such index"):
    _open(tmp_path / "nowhere")


def test_an_index_is_plain_files_that_say_what_they_are(
  tmp_path: pathlib.Path,
) -> None:
  index = tiny_indexes.make(tmp_path, 40, kind="ivf")
  card = json.loads((tmp_path / "index.json").read_text())
  assert card["format"] == "music_embed.index/1"
  assert card["fingerprint"] == tiny_indexes.FINGERPRINT
  assert set(card["stored"]) == {
    "vectors.npy",
    "catalogue.arrow",
    "finder.faiss",
    "labels.tsv",
    "label_vectors.npy",
  }
  stored = card["stored"]["vectors.npy"]
  assert stored["sha256"] == files.sha256(str(tmp_path / stored["name"]))
  by_numpy = np.load(tmp_path / stored["name"], allow_pickle=False)
  np.testing.assert_array_equal(by_numpy, index.vectors)
