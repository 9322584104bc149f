"""Shuffles through files: rows grouped by partition, with an index.

A task writes one segment file, in chunks that bound its memory; within a chunk
rows are grouped by partition. A task of the next phase reads the rows of its
partitions from the segments of all tasks before it.

Layout, little-endian: the rows of all chunks one after the other; int64
[chunks, partitions + 1], the row where each partition starts; int64 [4]:
chunks, partitions, bytes of a row, magic number.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

_MAGIC = 0x7365676D656E7431
_TRAILER = 4


class Writer:
  """Appends chunks to a segment; made by `writing`."""

  def __init__(
    self, file: IO[bytes], row: npt.DTypeLike, num_partitions: int
  ) -> None:
    self._file, self._row = file, np.dtype(row)
    self._num_partitions = num_partitions
    self._num_rows = 0
    self._index: list[npt.NDArray[Any]] = []

  def append(self, rows: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> None:
    """Appends a chunk.

    Args:
      rows: [rows] of the segment's type, grouped by partition.
      sizes: rows of each partition, integers [partitions].
    """
    if rows.dtype != self._row or len(sizes) != self._num_partitions:
      raise ValueError("rows or partitions are not those of the segment")
    if len(rows):
      self._file.write(np.ascontiguousarray(rows).data)
    starts = np.concatenate([[0], np.cumsum(sizes)]) + self._num_rows
    self._num_rows += len(rows)
    if starts[-1] != self._num_rows:
      raise ValueError("sizes do not add up to the rows")
    self._index.append(starts.astype("<i8"))

  def finish(self) -> None:
    """Writes the index."""
    for starts in self._index:
      self._file.write(starts.tobytes())
    trailer = len(self._index), self._num_partitions, self._row.itemsize, _MAGIC
    self._file.write(np.array(trailer, "<i8").tobytes())


@contextlib.contextmanager
def writing(
  path: str, row: npt.DTypeLike, num_partitions: int
) -> Iterator[Writer]:
  """Opens a segment that appears whole or not at all.

  Args:
    path: the file.
    row: numpy type of a row; structured types must be packed.
    num_partitions: partitions, 0 .. num_partitions - 1.
  """
  with files.atomic_write(path) as file:
    writer = Writer(file, row, num_partitions)
    yield writer
    writer.finish()


def sizes(path: str) -> npt.NDArray[Any]:
  """Rows of each partition of a segment, int64 [partitions]."""
  with open(path, "rb") as file:
    index, _ = _read_index(file, path)
  return np.diff(index, axis=1).sum(axis=0)


def read(
  paths: Sequence[str], partitions: range, row: npt.DTypeLike
) -> npt.NDArray[Any]:
  """The rows of adjacent partitions, from all segments.

  Args:
    paths: segments.
    partitions: a contiguous range.
    row: numpy type of a row.

  Returns:
    [rows], chunk after chunk in the order of the paths.

  Raises:
    DataError: a file is not a whole segment of such rows.
  """
  row = np.dtype(row)
  places: list[tuple[str, int, int]] = []
  for path in paths:
    with open(path, "rb") as file:
      index, itemsize = _read_index(file, path)
    if itemsize != row.itemsize:
      raise errors.DataError(f"{path}: rows of {itemsize} bytes: damaged")
    bounds = index[:, [partitions.start, partitions.stop]].tolist()
    places += [(path, start, stop) for start, stop in bounds if start < stop]
  rows = np.empty(sum(stop - start for _, start, stop in places), row)
  begin = 0
  for path, start, stop in places:
    end = begin + stop - start
    with open(path, "rb") as file:
      file.seek(start * row.itemsize)
      if file.readinto(rows[begin:end].data) != rows[begin:end].nbytes:
        raise errors.DataError(f"{path}: cut short: delete it and run again")
    begin = end
  return rows


def _read_index(file: IO[bytes], path: str) -> tuple[npt.NDArray[Any], int]:
  size = os.fstat(file.fileno()).st_size
  tail = 8 * _TRAILER
  if size >= tail:
    file.seek(size - tail)
    trailer = np.frombuffer(file.read(tail), "<i8").tolist()
    num_chunks, num_partitions, itemsize, magic = trailer
    length = 8 * num_chunks * (num_partitions + 1)
    if magic == _MAGIC and 0 <= length <= size - tail:
      file.seek(size - tail - length)
      index = np.frombuffer(file.read(length), "<i8")
      return index.reshape(num_chunks, num_partitions + 1), itemsize
  raise errors.DataError(f"{path}: not a whole segment: delete it, run again")
