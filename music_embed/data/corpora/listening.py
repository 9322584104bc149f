"""The listening log: who listened to what.

Read once, part by part in tasks of an engine, and spilled to segments of
events that the co-listen graph is mined from; user ids end here.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import glob
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.corpora import tables
from music_embed.data.engines import base, resumable, segments
from music_embed.data.mining import graph_job, graph_plan, hashing

REQUIRED = ("user_id", "recording_id")
"""Columns that a listening log must have."""

OPTIONAL = ("count",)
"""Columns that it may have: plays, a positive integer; 1 where empty."""

_NAMED_ROWS = 100
_FEW_BROKEN_ROWS = 10
_EVENTS_PER_CHUNK = 1 << 20
_ROWS_PER_PART = 1 << 22
_IDS, _PLACES = "ids.npy", "places.npy"


@dataclasses.dataclass(frozen=True)
class ListeningLog:
  """A listening log that was read.

  Attributes:
    events: segments of `graph_plan.EVENT`, with positions of recordings.
    num_rows: rows of the log.
    num_unknown: rows whose recording is not among those of the caller.
    num_broken: rows that could not be used.
    broken: path of the file, row number and reason of the first of them.
  """

  events: tuple[str, ...]
  num_rows: int
  num_unknown: int
  num_broken: int
  broken: tuple[tuple[str, int, str], ...]


@dataclasses.dataclass(frozen=True)
class _Part:
  """What one task reads: a file, or row groups of a parquet file."""

  path: str
  row_groups: range | None = None


@dataclasses.dataclass(frozen=True)
class _Spill:
  """What all tasks know."""

  folder: str
  seed: int


def log_files(path: str) -> list[str]:
  """The files of a listening log.

  Args:
    path: a table, a folder of tables (names that start with a dot or an
      underscore are left out), or a glob pattern.

  Returns:
    Their paths, sorted.

  Raises:
    DataError: there are none.
  """
  if os.path.isdir(path):
    found = [
      os.path.join(path, name)
      for name in sorted(os.listdir(path))
      if name[0] not in "._"
    ]
    if not found:
      raise errors.DataError(f"{path}: a folder without files")
    return found
  if glob.has_magic(path) and not os.path.exists(path):
    found = sorted(glob.glob(path))
    if not found:
      raise errors.DataError(f"{path}: no file has such a name")
    return found
  return [path]


def write_positions(
  folder: str, recording_ids: Sequence[str], seed: int
) -> npt.NDArray[Any]:
  """Writes what `read_listening_log` finds recordings by.

  Args:
    folder: where to; all workers see it.
    recording_ids: in the order of their positions, distinct.
    seed: of the hashes.

  Returns:
    Keyed hash of each id, uint64 [recordings].

  Raises:
    DataError: two ids have the same hash (of ten million, once in 400,000
      seeds).
  """
  values = (hashing.hash64(seed, "recording", name) for name in recording_ids)
  hashes = np.fromiter(values, np.uint64, len(recording_ids))
  order = np.argsort(hashes)
  alike = np.flatnonzero(np.diff(hashes[order]) == 0)
  if len(alike):
    one, other = (recording_ids[order[alike[0] + k]] for k in (0, 1))
    raise errors.DataError(
      f"recordings {one!r} and {other!r} have the same hash under seed {seed}:"
      " choose another seed"
    )
  arrays = (_IDS, hashes[order]), (_PLACES, order.astype(np.int32))
  for name, values_by_hash in arrays:
    with files.atomic_write(os.path.join(folder, name)) as file:
      np.save(file, values_by_hash)
  return hashes


def read_listening_log(
  engine: base.Engine,
  path: str,
  *,
  folder: str,
  seed: int,
  max_broken_share: float = 0.05,
) -> ListeningLog:
  """Reads a listening log, unless an earlier call has.

  A row that is broken (ragged, empty id, a count that is not a positive
  integer) is left out and counted; real logs have some.

  Args:
    engine: reads the files, one a task (of parquet, some row groups).
    path: csv, tsv, jsonl (each also .gz) or parquet; see `log_files`.
    folder: where `write_positions` wrote, and for the segments; belongs to
      this log and these positions.
    seed: of the users' hashes.
    max_broken_share: with more broken rows than this the log is refused
      (a handful is always let through).

  Returns:
    The events' segments, and what was left out.

  Raises:
    DataError: a file is no such table, or too many rows are broken; names
      the first.
  """
  parts = [part for name in log_files(path) for part in _parts(name)]
  read = resumable.map_once(
    engine,
    functools.partial(_spill, _Spill(folder, seed)),
    list(enumerate(parts)),
    folder=os.path.join(folder, "events.done"),
    plan=f"{_EVENTS_PER_CHUNK}",
    description="listening log",
    unit="part",
  )
  broken = [
    (part.path, number, problem)
    for part, found in zip(parts, read, strict=True)
    for number, problem in found["named"]
  ]
  num_rows, num_unknown, num_broken = (
    sum(found[name] for found in read) for name in ("rows", "unknown", "broken")
  )
  if num_broken > max(_FEW_BROKEN_ROWS, max_broken_share * num_rows):
    name, number, problem = broken[0]
    raise errors.DataError(
      f"{path}: {num_broken} of {num_rows} rows cannot be used; the first is"
      f" row {number} of {os.path.basename(name)}: {problem}. Mend the log, or"
      f" allow more than {100 * max_broken_share:g} % (max_broken_share)"
    )
  return ListeningLog(
    events=tuple(_segment(folder, number) for number in range(len(parts))),
    num_rows=num_rows,
    num_unknown=num_unknown,
    num_broken=num_broken,
    broken=tuple(broken[:_NAMED_ROWS]),
  )


def _parts(path: str) -> list[_Part]:
  path = os.path.abspath(path)  # Workers may start in another folder.
  groups = tables.row_groups(path)
  return [_Part(path, rows) for rows in _joined(groups)] or [_Part(path)]


def _joined(groups: Sequence[int]) -> list[range]:
  """Ranges of adjacent row groups that have enough rows for a task."""
  ranges, start, rows = [], 0, 0
  for group, size in enumerate(groups):
    rows += size
    if rows >= _ROWS_PER_PART or group == len(groups) - 1:
      ranges.append(range(start, group + 1))
      start, rows = group + 1, 0
  return ranges


def _segment(folder: str, number: int) -> str:
  return os.path.join(folder, f"events-{number:06d}")


def _spill(work: _Spill, task: tuple[int, _Part]) -> dict[str, Any]:
  """Reads one part; what a ListeningLog says of it."""
  number, part = task
  chunk = _Chunk(work)
  named: list[tuple[int, str]] = []
  num_rows = num_unknown = num_broken = 0
  with segments.writing(
    _segment(work.folder, number), graph_plan.EVENT, graph_plan.USER_PARTITIONS
  ) as writer:
    for row in tables.read_rows(
      part.path,
      required=REQUIRED,
      optional=OPTIONAL,
      row_groups=part.row_groups,
    ):
      problem = row.problem or _problem(row.values)
      if not problem and row.num_lines > 1:
        problem = _swallowed(row)
      # What a stray quote has swallowed were rows.
      num_lines = row.num_lines if problem else 1
      num_rows += num_lines
      if problem:
        num_broken += num_lines
        if len(named) < _NAMED_ROWS:
          named.append((row.number, problem))
        continue
      chunk.add(row.values["user_id"], row.values["recording_id"])
      if len(chunk) >= _EVENTS_PER_CHUNK:
        num_unknown += chunk.flush(writer)
    num_unknown += chunk.flush(writer)
  return {
    "rows": num_rows,
    "unknown": num_unknown,
    "broken": num_broken,
    "named": named,
  }


class _Chunk:
  """Events that wait to be written; hashes each id of a chunk once."""

  def __init__(self, work: _Spill) -> None:
    self._seed = work.seed
    self._ids = np.load(os.path.join(work.folder, _IDS), mmap_mode="r")
    self._places = np.load(os.path.join(work.folder, _PLACES), mmap_mode="r")
    self._clear()

  def _clear(self) -> None:
    self._codes: tuple[dict[str, int], dict[str, int]] = ({}, {})
    self._events = array.array("i"), array.array("i")

  def __len__(self) -> int:
    return len(self._events[0])

  def add(self, user: str, recording: str) -> None:
    users, recordings = self._codes
    self._events[0].append(users.setdefault(user, len(users)))
    self._events[1].append(recordings.setdefault(recording, len(recordings)))

  def flush(self, writer: segments.Writer) -> int:
    """Writes the events; how many of them are of unknown recordings."""
    users, recordings = (
      self._hashes(codes, stream)[np.array(events, np.int32)]
      for codes, stream, events in zip(
        self._codes, ("user", "recording"), self._events, strict=True
      )
    )
    self._clear()
    places = np.searchsorted(self._ids, recordings)
    places = np.minimum(places, len(self._ids) - 1)
    known = self._ids[places] == recordings
    positions = self._places[places[known]]
    graph_job.write_events(writer, users[known], positions)
    return int(np.count_nonzero(~known))

  def _hashes(self, codes: dict[str, int], stream: str) -> npt.NDArray[Any]:
    values = (hashing.hash64(self._seed, stream, name) for name in codes)
    return np.fromiter(values, np.uint64, len(codes))


def _swallowed(row: tables.Row) -> str:
  for name in REQUIRED:
    if "\n" in row.values[name]:
      return f"a quote takes {name} to line {row.number + row.num_lines - 1}"
  return ""


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
