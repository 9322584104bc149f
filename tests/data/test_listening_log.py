"""The listening log survives broken rows and says which they were."""

import pathlib

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.corpora import listening

_POSITIONS = {"a": 0, "b": 1, "c": 2}


def _read(
  path: pathlib.Path, text: str, **options: float
) -> listening.ListeningLog:
  log = path / "log.csv"
  log.write_text(text)
  return listening.read_listening_log(str(log), _POSITIONS, seed=0, **options)


def test_events_join_with_the_recordings(tmp_path: pathlib.Path) -> None:
  log = _read(tmp_path, "user_id,recording_id\nu,b\nv,a\nu,nope\nu,c\nu,b\n")
  assert log.users.tolist() == [0, 1, 0, 0]
  assert log.recordings.tolist() == [1, 0, 2, 1]
  assert (log.num_rows, log.num_unknown, log.num_broken) == (5, 1, 0)
  assert len(np.unique(log.user_hashes)) == 2


def test_broken_rows_are_left_out_and_named(tmp_path: pathlib.Path) -> None:
  log = _read(
    tmp_path,
    "user_id,recording_id,count\nu,a,2\nu,b,-3\nu,b,0\n,b,1\nu,,1\nu,b,x\n"
    "u,b,1.5\nu,b,inf\nu\nu,c,\nv,c,3.0\n",
  )
  assert log.users.tolist() == [0, 0, 1]
  assert log.recordings.tolist() == [0, 2, 2]
  assert log.num_broken == 8
  assert log.broken == (
    (3, "count is -3, not a positive integer"),
    (4, "count is 0, not a positive integer"),
    (5, "user_id is empty"),
    (6, "recording_id is empty"),
    (7, "count is 'x', not a number"),
    (8, "count is 1.5, not a positive integer"),
    (9, "count is inf, not a positive integer"),
    (10, "1 fields, but the header has 3"),
  )


def test_a_log_that_is_mostly_broken_is_refused(
  tmp_path: pathlib.Path,
) -> None:
  rows = "u,a,1\n" * 300 + "u,a,0\n" * 20
  with pytest.raises(errors.DataError, match="20 of 320 .* is row 302: count"):
    _read(tmp_path, "user_id,recording_id,count\n" + rows)
  log = _read(
    tmp_path, "user_id,recording_id,count\n" + rows, max_broken_share=0.1
  )
  assert log.num_broken == 20
