"""The listening log survives broken rows and says which they were."""

import gzip
import json
import pathlib
from collections import Counter
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.corpora import listening
from music_embed.data.engines import local, segments
from music_embed.data.mining import graph_plan, hashing

_IDS = ("a", "b", "c")


def _read(
  folder: pathlib.Path, path: pathlib.Path | str, **options: Any
) -> listening.ListeningLog:
  work = folder / f"work{len(list(folder.glob('work*')))}"
  work.mkdir()
  listening.write_positions(str(work), _IDS, seed=0)
  return listening.read_listening_log(
    local.LocalEngine(1), str(path), folder=str(work), seed=0, **options
  )


def _write(folder: pathlib.Path, text: str) -> pathlib.Path:
  path = folder / "log.csv"
  path.write_text(text)
  return path


def _events(log: listening.ListeningLog) -> Counter[tuple[str, int]]:
  """How often each user listened to each position."""
  names = {hashing.hash64(0, "user", name): name for name in "uvw"}
  rows = segments.read(
    log.events, range(graph_plan.USER_PARTITIONS), graph_plan.EVENT
  )
  return Counter((names[user], position) for user, position in rows.tolist())


def test_events_join_with_the_recordings(tmp_path: pathlib.Path) -> None:
  path = _write(tmp_path, "user_id,recording_id\nu,b\nv,a\nu,nope\nu,c\nu,b\n")
  log = _read(tmp_path, path)
  assert _events(log) == {("u", 1): 2, ("v", 0): 1, ("u", 2): 1}
  assert (log.num_rows, log.num_unknown, log.num_broken) == (5, 1, 0)


def test_a_user_lies_in_one_partition_of_the_hash(
  tmp_path: pathlib.Path,
) -> None:
  rows = [f"{user},{'abc'[user % 3]}\n" for user in range(300)]
  log = _read(
    tmp_path, _write(tmp_path, "user_id,recording_id\n" + "".join(rows))
  )
  (sizes,) = (segments.sizes(path) for path in log.events)
  assert sizes.sum() == 300
  for partition in np.flatnonzero(sizes):
    found = segments.read(
      log.events, range(partition, partition + 1), graph_plan.EVENT
    )
    assert (found["user"] >> np.uint64(54) == partition).all()


def test_broken_rows_are_left_out_and_named(tmp_path: pathlib.Path) -> None:
  path = _write(
    tmp_path,
    "user_id,recording_id,count\nu,a,2\nu,b,-3\nu,b,0\n,b,1\nu,,1\nu,b,x\n"
    "u,b,1.5\nu,b,inf\nu\nu,c,\nv,c,3.0\n",
  )
  log = _read(tmp_path, path)
  assert _events(log) == {("u", 0): 1, ("u", 2): 1, ("v", 2): 1}
  assert log.num_broken == 8
  assert log.broken == tuple(
    (str(path), number, problem)
    for number, problem in (
      (3, "count is -3, not a positive integer"),
      (4, "count is 0, not a positive integer"),
      (5, "user_id is empty"),
      (6, "recording_id is empty"),
      (7, "count is 'x', not a number"),
      (8, "count is 1.5, not a positive integer"),
      (9, "count is inf, not a positive integer"),
      (10, "1 fields, but the header has 3"),
    )
  )


def test_a_log_that_is_mostly_broken_is_refused(
  tmp_path: pathlib.Path,
) -> None:
  rows = "u,a,1\n" * 300 + "u,a,0\n" * 20
  path = _write(tmp_path, "user_id,recording_id,count\n" + rows)
  with pytest.raises(
    errors.DataError, match=r"20 of 320 .* is row 302 of log\.csv: count"
  ):
    _read(tmp_path, path)
  assert _read(tmp_path, path, max_broken_share=0.1).num_broken == 20


def _write_parts(folder: pathlib.Path) -> pathlib.Path:
  parquet = pytest.importorskip("pyarrow.parquet")
  arrow = pytest.importorskip("pyarrow")
  folder.mkdir()
  (folder / "_SUCCESS").touch()
  (folder / "part-0.csv").write_text("user_id,recording_id\nu,a\n,b\n")
  with gzip.open(folder / "part-1.jsonl.gz", "wt") as file:
    file.write(json.dumps({"user_id": "v", "recording_id": "c"}) + "\n")
  table = arrow.table(
    {
      "user_id": ["u", "w", None, "w", "u"],
      "recording_id": ["a", "b", "c", "x", "b"],
    }
  )
  parquet.write_table(table, folder / "part-2.parquet", row_group_size=2)
  return folder


_OF_PARTS = {("u", 0): 2, ("v", 2): 1, ("w", 1): 1, ("u", 1): 1}


def test_a_folder_of_parts_is_one_log(tmp_path: pathlib.Path) -> None:
  folder = _write_parts(tmp_path / "log")
  for path in (folder, f"{folder}/part-*"):
    log = _read(tmp_path, path)
    assert _events(log) == _OF_PARTS
    assert (log.num_rows, log.num_unknown, log.num_broken) == (8, 1, 2)
    assert log.broken == (
      (str(folder / "part-0.csv"), 3, "user_id is empty"),
      (str(folder / "part-2.parquet"), 3, "user_id is empty"),
    )


def test_row_groups_of_a_parquet_file_are_parts(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(listening, "_ROWS_PER_PART", 1)
  path = _write_parts(tmp_path / "log") / "part-2.parquet"
  log = _read(tmp_path, path)
  assert len(log.events) == 3
  assert sum(_events(log).values()) == 3
  assert log.broken == ((str(path), 3, "user_id is empty"),)


def test_chunks_make_no_difference(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  path = _write_parts(tmp_path / "log")
  monkeypatch.setattr(listening, "_EVENTS_PER_CHUNK", 1)
  log = _read(tmp_path, path)
  assert _events(log) == _OF_PARTS
  assert log.num_unknown == 1


def test_a_log_that_was_read_is_not_read_again(tmp_path: pathlib.Path) -> None:
  path = _write(tmp_path, "user_id,recording_id\nu,a\nv,b\n")
  listening.write_positions(str(tmp_path), _IDS, seed=0)
  arguments = {"folder": str(tmp_path), "seed": 0}
  engine = local.LocalEngine(1)
  first = listening.read_listening_log(engine, str(path), **arguments)
  path.write_text("nonsense")
  again = listening.read_listening_log(engine, str(path), **arguments)
  assert again == first


@pytest.mark.parametrize(
  ("name", "message"),
  [("none/*.csv", "no file has such a name"), ("empty", "without files")],
)
def test_a_log_without_files_is_named(
  tmp_path: pathlib.Path, name: str, message: str
) -> None:
  (tmp_path / "empty").mkdir()
  with pytest.raises(errors.DataError, match=message):
    _read(tmp_path, tmp_path / name)


def test_recordings_whose_hashes_collide_are_named(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(hashing, "hash64", lambda seed, stream, text: len(text))
  with pytest.raises(errors.DataError, match="'bb' and 'cc' .* another seed"):
    listening.write_positions(str(tmp_path), ("a", "bb", "cc"), seed=0)


@pytest.mark.parametrize("last", ["", '"u,a,1\n', 'u,"a,1\n'])
def test_rows_that_a_stray_quote_swallowed_are_counted(
  tmp_path: pathlib.Path, last: str
) -> None:
  rows = 'u,a,1\n"u,a,1\n' + "u,a,1\n" * 300 + last
  path = _write(tmp_path, "user_id,recording_id,count\n" + rows)
  lost = 301 + bool(last)
  message = rf"{lost} of {lost + 1} rows .* is row 3 of log\.csv: .*a quote"
  with pytest.raises(errors.DataError, match=message):
    _read(tmp_path, path)
