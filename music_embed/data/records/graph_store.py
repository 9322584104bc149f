"""The co-listen graph of a dataset as memory-mapped sparse rows.

The edge shards are the contract; the rows are a cache derived from them and
keyed by their checksums. Opening maps files and reads nothing, so it takes
as long for ten million vertices as for ten.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import (
  cache,
  example,
  manifest,
  tfrecord,
)

CACHE = "graph"
"""Name of the cache."""

_FORMAT = 1
_VERTICES_AT_ONCE = 2_048
_ROWS_AT_ONCE = 1 << 18


def load(
  directory: str, made: manifest.Manifest, split: str | None = None
) -> graph_lib.Graph:
  """The graph over a dataset's recordings.

  The first call reads the edge shards twice, one at a time: once to check
  them and count the neighbours, once to write the rows. Memory grows with
  the number of vertices and the size of a shard, not with that of edges.

  Args:
    directory: the dataset's directory.
    made: its manifest.
    split: keep only edges with both ends in this split; None keeps all.

  Returns:
    A graph of memory-mapped arrays; those of the splits share the entries.

  Raises:
    DataError: a shard is not that of the manifest, or breaks the contract;
      names shard and record.
  """
  arrays = cache.obtain(
    directory,
    CACHE,
    key(made),
    lambda builder: build(builder, directory, made),
  )
  return view(arrays, split)


def key(made: manifest.Manifest) -> dict[str, Any]:
  """What the cache of a dataset must have been made from."""
  return {
    "format": _FORMAT,
    "shards": [[file.name, file.sha256] for file in made.shards("graph")],
    "splits": [made.splits[split] for split in types.SPLITS],
  }


def view(arrays: cache.Arrays, split: str | None = None) -> graph_lib.Graph:
  """The graph, or that of a split, from the arrays of the cache."""
  indices, counts = arrays["indices"], arrays["counts"]
  if split is None:
    return graph_lib.Graph.from_csr(arrays["indptr"], indices, counts)
  return graph_lib.Graph(
    arrays[f"{split}_starts"], arrays[f"{split}_ends"], indices, counts
  )


def build(
  builder: cache.Builder, directory: str, made: manifest.Manifest
) -> None:
  """Writes the arrays of the cache.

  Args:
    builder: takes them.
    directory: the dataset's directory.
    made: its manifest.

  Raises:
    DataError: as `load`.
  """
  num_vertices = sum(made.splits.values())
  indptr = builder.empty("indptr", (num_vertices + 1,), np.int64)
  last = -1
  for shard in _shards(directory, made):
    for group in shard.groups():
      # Vertices ascend over all shards: a group follows the one before.
      last = group.check_vertices(last, num_vertices)
      indptr[group.vertices + 1] = group.degrees
  np.cumsum(indptr, out=indptr)
  indices = builder.empty("indices", (int(indptr[-1]),), np.int32)
  counts = builder.empty("counts", (int(indptr[-1]),), np.int32)
  for shard in _shards(directory, made):
    for group in shard.groups():
      neighbors, shared = group.entries(num_vertices)
      start = int(indptr[group.vertices[0]])
      indices[start : start + len(neighbors)] = neighbors
      counts[start : start + len(shared)] = shared
  put_splits(builder, indptr, indices, made.splits)


def put_splits(
  builder: cache.Builder,
  indptr: npt.NDArray[Any],
  indices: npt.NDArray[Any],
  splits: dict[str, int],
) -> None:
  """Adds the rows of each split to a cache.

  Args:
    builder: takes `{split}_starts` and `{split}_ends`, int64 [vertices], zero
      outside the split.
    indptr: int64 [vertices + 1], of the whole graph.
    indices: int32 [entries].
    splits: vertices of each split, by name.
  """
  first = 0
  for split in types.SPLITS:
    stop = first + splits[split]
    shape = (len(indptr) - 1,)
    starts = builder.empty(f"{split}_starts", shape, np.int64)
    ends = builder.empty(f"{split}_ends", shape, np.int64)
    for begin in range(first, stop, _ROWS_AT_ONCE):
      end = min(begin + _ROWS_AT_ONCE, stop)
      low = graph_lib.bisect(
        indices, indptr[begin:end], indptr[begin + 1 : end + 1], first
      )
      starts[begin:end] = low
      ends[begin:end] = graph_lib.bisect(
        indices, low, indptr[begin + 1 : end + 1], stop
      )
    first = stop


class _Group:
  """Some records of a shard, one after another."""

  def __init__(self, shard: _Shard, first: int, places: list[_Places]) -> None:
    self._shard = shard
    self._first = first
    self._places = places
    recordings = [p.recording for p in places]
    if (wrong := self._lengths(recordings) != 1).any():
      raise self._wrong(int(wrong.argmax()), "holds not one recording")
    self.vertices = self._unpack(recordings)
    self.degrees = self._lengths([p.neighbors for p in places])

  def check_vertices(self, last: int, num_vertices: int) -> int:
    """Checks that vertices ascend after `last`; returns the group's last."""
    ascending = np.diff(self.vertices, prepend=last) > 0
    wrong = ~ascending | (self.vertices >= num_vertices)
    if wrong.any():
      record = int(wrong.argmax())
      vertex = self.vertices[record]
      raise self._wrong(record, f"recording {vertex} is out of order or range")
    return int(self.vertices[-1])

  def entries(
    self, num_vertices: int
  ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Neighbours and counts of all its vertices, int64 [entries] each."""
    lengths = self._lengths([p.counts for p in self._places])
    if (record := int((lengths != self.degrees).argmax())) or (
      lengths[0] != self.degrees[0]
    ):
      raise self._wrong(
        record, f"{self.degrees[record]} neighbours, {lengths[record]} counts"
      )
    neighbors = self._unpack([p.neighbors for p in self._places])
    row = np.repeat(np.arange(len(lengths)), lengths)
    wrong = (neighbors < 0) | (neighbors >= num_vertices)
    wrong |= neighbors == self.vertices[row]
    wrong[1:] |= (np.diff(neighbors) <= 0) & (np.diff(row) == 0)
    if wrong.any():
      raise self._wrong(
        int(row[wrong.argmax()]),
        f"neighbour indices are not sorted in [0, {num_vertices}), or the "
        "recording is its own neighbour",
      )
    return neighbors, self._unpack([p.counts for p in self._places])

  def _lengths(self, places: list[slice]) -> npt.NDArray[Any]:
    """How many varints lie in each place, int64 [places]."""
    raw = np.frombuffer(self._shard.data, np.uint8)
    return np.array(
      [np.count_nonzero(raw[place] < 0x80) for place in places], np.int64
    )

  def _unpack(self, places: list[slice]) -> npt.NDArray[Any]:
    view = memoryview(self._shard.data)
    return example.unpack(b"".join(view[place] for place in places))

  def _wrong(self, record: int, what: str) -> errors.DataError:
    return self._shard.wrong(self._first + record, what)


class _Places:
  """Where the packed numbers of a record lie in its shard."""

  __slots__ = ("counts", "neighbors", "recording")

  def __init__(self, data: bytes, record: slice) -> None:
    found = example.locate(data, record)
    self.recording = found["recording"]
    self.neighbors = found["neighbors"]
    self.counts = found["counts"]


class _Shard:
  """An edge shard whose bytes are those of the manifest."""

  def __init__(self, path: str, file: manifest.FileEntry) -> None:
    self._path = path
    self._num_records = file.num_records
    self.data = files.read_bytes(path)
    if hashlib.sha256(self.data).hexdigest() == file.sha256:
      return
    # Which record it is, says the scan; it raises.
    for _ in tfrecord.scan(path):
      pass
    raise errors.DataError(
      f"{path} is not the file that the manifest names: its checksum differs"
    )

  def groups(self) -> Iterator[_Group]:
    """The shard's records, some at a time."""
    places: list[_Places] = []
    number = 0
    for number, record in enumerate(self._records(), start=1):
      try:
        places.append(_Places(self.data, record))
      except (errors.DataError, KeyError) as error:
        raise self.wrong(
          number - 1, "not the record of a graph vertex"
        ) from error
      if len(places) == _VERTICES_AT_ONCE:
        yield _Group(self, number - len(places), places)
        places = []
    if places:
      yield _Group(self, number - len(places), places)
    if number != self._num_records:
      raise errors.DataError(
        f"{self._path} holds {number} records, but {self._num_records} in the"
        " manifest"
      )

  def wrong(self, record: int, what: str) -> errors.DataError:
    """An error that names the shard and the record."""
    return errors.DataError(f"{self._path}: record {record}: {what}")

  def _records(self) -> Iterator[slice]:
    """The records' payloads; framing is covered by the shard's checksum."""
    position = 0
    while position < len(self.data):
      (length,) = struct.unpack_from("<Q", self.data, position)
      begin = position + tfrecord.HEADER_BYTES
      yield slice(begin, begin + length)
      position = begin + length + tfrecord.FOOTER_BYTES


def _shards(directory: str, made: manifest.Manifest) -> Iterator[_Shard]:
  for file in made.shards("graph"):
    yield _Shard(files.join(directory, file.name), file)
