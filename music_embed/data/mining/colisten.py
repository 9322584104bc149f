"""The co-listen graph: pairs of recordings that enough users listened to.

Pure functions over blocks of lists and recordings; `colisten_job` spreads them
over the tasks of an engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse import _sparsetools as sparsetools

from music_embed.data.mining import capping, sanitize


def replicate(
  lists: sanitize.Lists, num_recordings: int, num_partitions: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
  """Sends each list once to every partition of recordings that it touches.

  There all listeners of the partition's recordings are then found with all
  that they listened to.

  Args:
    lists: of some users.
    num_recordings: recordings of the dataset.
    num_partitions: contiguous ranges of recordings, see `partition_range`.

  Returns:
    The lists of each partition one after the other, as a stream that
    `decode_lists` reads, int32 [entries]; entries of each, int64 [partitions].
  """
  stream = encode_lists(lists)
  if num_partitions == 1:
    return stream, np.array([len(stream)])
  wide = lists.recordings.astype(np.int64)
  partitions = wide * num_partitions // num_recordings
  # Lists are sorted, so a partition's recordings are side by side in them.
  new = np.diff(partitions, prepend=-1) != 0
  new[lists.indptr[:-1][lists.lengths > 0]] = True
  touching = np.repeat(np.arange(len(lists.lengths)), lists.lengths)[new]
  order = np.argsort(partitions[new], kind="stable")
  touching, touched = touching[order], partitions[new][order]
  lengths = lists.lengths[touching]
  starts = np.cumsum(lengths) - lengths
  places = np.repeat(lists.indptr[touching] - starts, lengths)
  places += np.arange(len(places))
  entries = np.bincount(touched, lengths, minlength=num_partitions)
  return stream[places], entries.astype(np.int64)


def partition_range(
  partition: int, num_partitions: int, num_recordings: int
) -> range:
  """Recordings of a partition: those with r * partitions // recordings = it."""
  bounds = (
    -(-number * num_recordings // num_partitions)
    for number in (partition, partition + 1)
  )
  return range(*bounds)


def encode_lists(lists: sanitize.Lists) -> npt.NDArray[Any]:
  """Lists one after the other, the first entry of each as its complement.

  Args:
    lists: none of them empty.

  Returns:
    int32 [entries].
  """
  stream = lists.recordings.copy()
  starts = lists.indptr[:-1]
  stream[starts] = ~stream[starts]
  return stream


def decode_lists(stream: npt.NDArray[Any]) -> sanitize.Lists:
  """Inverse of `encode_lists`."""
  starts = np.flatnonzero(stream < 0)
  return sanitize.Lists(
    np.append(starts, len(stream)), np.where(stream < 0, ~stream, stream)
  )


def strong_pairs(
  lists: sanitize.Lists,
  block: range,
  *,
  recording_hashes: npt.NDArray[Any],
  options: sanitize.GraphOptions,
  max_entries: int,
) -> Iterator[tuple[npt.NDArray[Any], int]]:
  """The strongest pairs of each recording of a block, by blocked A^T A.

  Args:
    lists: at least all that hold a recording of the block.
    block: contiguous recordings.
    recording_hashes: uint64 [recordings], keyed hash of each recording's id;
      decides between pairs of equal counts.
    options: thresholds and caps.
    max_entries: of products held in memory at once.

  Yields:
    For a part of the block, int64 [pairs, 3]: recording, other recording,
    users who listened to both; and how many pairs there were before the cap
    whose other recording is the larger one.
  """
  listeners, matrix, columns = _matrices(lists, block, options.tau)
  for rows in _row_blocks(listeners, matrix, max_entries):
    indptr, indices, counts = _product(
      listeners[rows.start : rows.stop], matrix
    )
    places = np.flatnonzero(counts >= options.tau)
    # Few entries are kept: finding their rows beats expanding all of them.
    first = np.searchsorted(indptr, places, side="right") - 1
    first += rows.start + block.start
    second, counts = columns[indices[places]], counts[places]
    others = first != second
    first, second, counts = first[others], second[others], counts[others]
    num_pairs = int(np.count_nonzero(first < second))
    kept = capping.strongest(
      first,
      second,
      counts,
      hashes=recording_hashes,
      cap=options.max_neighbors,
    )
    yield (
      np.stack([first[kept], second[kept], counts[kept]], axis=1),
      num_pairs,
    )


def _matrices(
  lists: sanitize.Lists, block: range, tau: int
) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix, npt.NDArray[Any]]:
  """A^T of the block [block, lists], A [lists, columns], and the columns.

  Columns are the recordings that have tau listeners here, most popular first:
  others have no pair with the block, and the product's scattered writes then
  fall mostly into cache.
  """
  recordings = lists.recordings
  popularity = np.bincount(recordings, minlength=block.stop)
  columns = np.flatnonzero(popularity >= tau)
  columns = columns[np.argsort(-popularity[columns], kind="stable")]
  codes = np.full(len(popularity), -1, np.int32)
  codes[columns] = np.arange(len(columns), dtype=np.int32)
  codes = codes[recordings]
  frequent = codes >= 0
  matrix = _ones(codes[frequent], lists.indptr, frequent, len(columns))
  inside = frequent & (recordings >= block.start) & (recordings < block.stop)
  rows = recordings[inside] - block.start
  listeners = _ones(rows, lists.indptr, inside, len(block)).T.tocsr()
  return listeners, matrix, columns


def _ones(
  indices: npt.NDArray[Any],
  indptr: npt.NDArray[Any],
  kept: npt.NDArray[Any],
  num_columns: int,
) -> scipy.sparse.csr_matrix:
  """CSR of ones with only the kept entries of rows that indptr delimits."""
  before = np.concatenate([[0], np.cumsum(kept)])
  return scipy.sparse.csr_matrix(
    (np.ones(len(indices), np.int32), indices, before[indptr]),
    shape=(len(indptr) - 1, num_columns),
  )


def _product(
  left: scipy.sparse.csr_matrix, right: scipy.sparse.csr_matrix
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
  """left @ right as CSR arrays: indptr, indices in no order, data.

  scipy's operator first computes the pattern of the product to know its size,
  a third of the time; here a bound is known.
  """
  bound = int(_work(left, right).sum())
  indptr = np.empty(left.shape[0] + 1, np.int32)
  indices, data = np.empty(bound, np.int32), np.empty(bound, np.int32)
  sparsetools.csr_matmat(
    left.shape[0],
    right.shape[1],
    left.indptr,
    left.indices,
    left.data,
    right.indptr,
    right.indices,
    right.data,
    indptr,
    indices,
    data,
  )
  return indptr, indices[: indptr[-1]], data[: indptr[-1]]


def _work(
  left: scipy.sparse.csr_matrix, right: scipy.sparse.csr_matrix
) -> npt.NDArray[Any]:
  """Upper bound of the entries of each row of left @ right, int64 [rows]."""
  entries = left @ np.diff(right.indptr).astype(np.int64)
  return np.minimum(entries, right.shape[1])


def _row_blocks(
  listeners: scipy.sparse.csr_matrix,
  matrix: scipy.sparse.csr_matrix,
  max_entries: int,
) -> Iterator[range]:
  """Cuts rows into blocks whose products fit into memory.

  One row alone may exceed the bound, by no more than the columns.
  """
  num_rows = listeners.shape[0]
  total = np.concatenate([[0], np.cumsum(_work(listeners, matrix))])
  start = 0
  while start < num_rows:
    stop = int(np.searchsorted(total, total[start] + max_entries, "right")) - 1
    stop = min(max(stop, start + 1), num_rows)
    yield range(start, stop)
    start = stop


def unite(
  pairs: npt.NDArray[Any], vertices: range, num_recordings: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
  """Rows of some vertices, from pairs that either end kept.

  Args:
    pairs: int32 [pairs, 3], vertex, neighbour and count; a pair that both
      ends kept is there twice.
    vertices: that all pairs start at.
    num_recordings: recordings of the dataset.

  Returns:
    Degrees, int64 [vertices]; neighbours, sorted within a vertex, and counts,
    int32 [entries].
  """
  # Duplicates are added by the conversion: the low half counts them.
  table = scipy.sparse.coo_matrix(
    (
      pairs[:, 2].astype(np.int64) << 32 | 1,
      (pairs[:, 0] - vertices.start, pairs[:, 1]),
    ),
    shape=(len(vertices), num_recordings),
  ).tocsr()
  table.sort_indices()
  counts = (table.data >> 32) // (table.data & 0xFFFFFFFF)
  degrees = np.diff(table.indptr).astype(np.int64)
  return degrees, table.indices.astype(np.int32), counts.astype(np.int32)
