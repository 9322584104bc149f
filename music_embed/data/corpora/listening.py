"""The listening log: who listened to what."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.corpora import tables
from music_embed.data.mining import hashing

REQUIRED = ("user_id", "recording_id")
"""Columns that a listening log must have."""

OPTIONAL = ("count",)
"""Columns that it may have: plays, a positive integer; 1 where empty."""

_NAMED_ROWS = 100
_FEW_BROKEN_ROWS = 10


@dataclasses.dataclass(frozen=True)
class ListeningLog:
  """Events of a listening log that join with the recordings.

  User ids themselves are not kept.

  Attributes:
    users: int32 [events], in the order of first appearance.
    recordings: int32 [events], positions given by the caller.
    user_hashes: uint64 [users], keyed hash of each id.
    num_rows: rows of the log.
    num_unknown: rows whose recording is not among those of the caller.
    num_broken: rows that could not be used.
    broken: row number and reason of the first of them.
  """

  users: npt.NDArray[Any]
  recordings: npt.NDArray[Any]
  user_hashes: npt.NDArray[Any]
  num_rows: int
  num_unknown: int
  num_broken: int
  broken: tuple[tuple[int, str], ...]


def read_listening_log(
  path: str,
  positions: Mapping[str, int],
  *,
  seed: int,
  max_broken_share: float = 0.05,
) -> ListeningLog:
  """Reads a listening log.

  A row that is broken (ragged, empty id, a count that is not a positive
  integer) is left out and counted; real logs have some.

  Args:
    path: csv, tsv, jsonl (each also .gz) or parquet.
    positions: recording ids that count, and the positions to give them.
    seed: of the users' hashes.
    max_broken_share: with more broken rows than this the log is refused
      (a handful is always let through).

  Returns:
    The events.

  Raises:
    DataError: the file is no such table, or too many rows are broken; names
      the first.
  """
  codes: dict[str, int] = {}
  users, recordings = array.array("i"), array.array("i")
  broken: list[tuple[int, str]] = []
  num_rows = num_unknown = num_broken = 0
  for row in tables.read_rows(path, required=REQUIRED, optional=OPTIONAL):
    num_rows += 1
    problem = row.problem or _problem(row.values)
    if problem:
      num_broken += 1
      if len(broken) < _NAMED_ROWS:
        broken.append((row.number, problem))
      continue
    position = positions.get(row.values["recording_id"])
    if position is None:
      num_unknown += 1
      continue
    users.append(codes.setdefault(row.values["user_id"], len(codes)))
    recordings.append(position)
  if num_broken > max(_FEW_BROKEN_ROWS, max_broken_share * num_rows):
    number, problem = broken[0]
    raise errors.DataError(
      f"{path}: {num_broken} of {num_rows} rows cannot be used; the first is"
      f" row {number}: {problem}"
    )
  hashes = (hashing.hash64(seed, "user", user) for user in codes)
  return ListeningLog(
    users=np.array(users, np.int32),
    recordings=np.array(recordings, np.int32),
    user_hashes=np.fromiter(hashes, np.uint64, len(codes)),
    num_rows=num_rows,
    num_unknown=num_unknown,
    num_broken=num_broken,
    broken=tuple(broken),
  )


def _problem(values: dict[str, str]) -> str:
  if not values["user_id"]:
    return "user_id is empty"
  if not values["recording_id"]:
    return "recording_id is empty"
  count = values.get("count") or "1"
  try:
    plays = float(count)
  except ValueError:
    return f"count is {count!r}, not a number"
  if not (plays >= 1 and plays.is_integer()):
    return f"count is {count}, not a positive integer"
  return ""
