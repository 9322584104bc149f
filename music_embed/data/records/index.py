"""The index of a dataset: where each payload lies, and all that is small.

Derived from the shards, and cached beside them. Building it reads every
record and checks its checksums; the cache is used only while the manifest
and the shards' sizes and times are those that it was built from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import manifest as manifest_lib
from music_embed.data.records import schema, tfrecord

CACHE_FILE = "index_cache.npz"
"""Name of the cache within a dataset's directory; can always be deleted."""


@dataclasses.dataclass(frozen=True)
class Index:
  """Arrays over all recordings, in the order of their indices.

  Attributes:
    shard: int32 [recordings], position in the list of recording shards.
    offset: int64 [recordings], byte in the shard where the payload starts.
    num_rows: int64 [recordings].
    label_indptr: int64 [recordings + 1].
    label_indices: int32 [entries], sorted within a recording.
    graph_indptr: int64 [recordings + 1].
    graph_indices: int32 [entries].
    graph_counts: int32 [entries].
    texts: uint8 [bytes], UTF-8 JSON: ids, titles, artists and flags.
  """

  shard: npt.NDArray[Any]
  offset: npt.NDArray[Any]
  num_rows: npt.NDArray[Any]
  label_indptr: npt.NDArray[Any]
  label_indices: npt.NDArray[Any]
  graph_indptr: npt.NDArray[Any]
  graph_indices: npt.NDArray[Any]
  graph_counts: npt.NDArray[Any]
  texts: npt.NDArray[Any]

  def graph(self) -> graph_lib.Graph:
    """The graph over all recordings."""
    return graph_lib.Graph.from_csr(
      self.graph_indptr, self.graph_indices, self.graph_counts
    )

  def columns(self) -> dict[str, list[str]]:
    """Ids, titles, artists and flags (comma-separated) of all recordings."""
    return json.loads(self.texts.tobytes())


def recording_shards(
  manifest: manifest_lib.Manifest,
) -> list[manifest_lib.FileEntry]:
  """Shards of recordings in the order of the recordings' indices."""
  return [shard for split in types.SPLITS for shard in manifest.shards(split)]


def load(directory: str, manifest: manifest_lib.Manifest) -> Index:
  """The cached index, or a new one where the cache is missing or stale.

  Args:
    directory: a dataset's directory.
    manifest: its manifest.

  Returns:
    The index. A new one is cached if the directory can be written to.

  Raises:
    DataError: a record is damaged or breaks the contract; names shard and
      record.
  """
  path = files.join(directory, CACHE_FILE)
  key = _key(directory, manifest)
  cached = _read_cache(path, key)
  if cached is not None:
    return cached
  index = build(directory, manifest)
  with contextlib.suppress(OSError), files.atomic_write(path) as file:
    fields = {f.name: getattr(index, f.name) for f in dataclasses.fields(index)}
    np.savez(file, key=np.array(key), **fields)
  return index


def build(directory: str, manifest: manifest_lib.Manifest) -> Index:
  """Reads every record of a dataset, checking all checksums.

  Args:
    directory: a dataset's directory.
    manifest: its manifest.

  Returns:
    The index.

  Raises:
    DataError: as `load`.
  """
  places: list[tuple[int, int, int]] = []
  labels: list[npt.NDArray[Any]] = []
  texts: dict[str, list[str]] = {n: [] for n in ("id", "title", "artist")}
  texts["flags"] = []
  num_labels = manifest.counts["labels"]
  row_bytes = manifest.row_bytes
  for shard, file in enumerate(recording_shards(manifest)):
    for record, offset, payload in _records(directory, file):
      with _naming(directory, file, record):
        entry = schema.decode_recording(payload, row_bytes)
        _check_entry(entry, manifest.front_end, num_labels)
      places.append((shard, offset + entry.payload.start, entry.num_rows))
      labels.append(entry.labels)
      texts["id"].append(entry.recording_id)
      texts["title"].append(entry.title)
      texts["artist"].append(entry.artist)
      texts["flags"].append(",".join(entry.flags))
  table = np.array(places, np.int64).reshape(-1, 3)
  graph = _build_graph(directory, manifest, len(places))
  return Index(
    shard=table[:, 0].astype(np.int32),
    offset=table[:, 1].copy(),
    num_rows=table[:, 2].copy(),
    label_indptr=_indptr([len(ids) for ids in labels]),
    label_indices=_concatenate(labels),
    graph_indptr=graph.csr()[0],
    graph_indices=graph.indices,
    graph_counts=graph.counts,
    texts=np.frombuffer(json.dumps(texts).encode(), np.uint8),
  )


def _build_graph(
  directory: str, manifest: manifest_lib.Manifest, num_vertices: int
) -> graph_lib.Graph:
  degrees = np.zeros(num_vertices, np.int64)
  rows: list[npt.NDArray[Any]] = []
  counts: list[npt.NDArray[Any]] = []
  last = -1
  for file in manifest.shards("graph"):
    for record, _, payload in _records(directory, file):
      with _naming(directory, file, record):
        vertex, neighbors, shared = schema.decode_vertex(payload)
        if not last < vertex < num_vertices:
          raise errors.DataError(f"recording {vertex} is out of order or range")
        _check_sorted(neighbors, num_vertices, "neighbour")
      degrees[vertex], last = len(neighbors), vertex
      rows.append(neighbors)
      counts.append(shared)
  return graph_lib.Graph.from_csr(
    _indptr(degrees), _concatenate(rows), _concatenate(counts)
  )


def _records(
  directory: str, file: manifest_lib.FileEntry
) -> Iterator[tuple[int, int, bytes]]:
  path = files.join(directory, file.name)
  num_records = 0
  for record, (offset, payload) in enumerate(tfrecord.scan(path)):
    yield record, offset, payload
    num_records = record + 1
  if num_records != file.num_records:
    raise errors.DataError(
      f"{path} holds {num_records} records, but {file.num_records} in the"
      " manifest"
    )


@contextlib.contextmanager
def _naming(
  directory: str, file: manifest_lib.FileEntry, record: int
) -> Iterator[None]:
  try:
    yield
  except errors.DataError as error:
    path = files.join(directory, file.name)
    raise errors.DataError(f"{path}: record {record}: {error}") from error


def _check_entry(
  entry: schema.RecordingEntry,
  front_end: types.FrontEnd,
  num_labels: int,
) -> None:
  _check_sorted(entry.labels, num_labels, "label")
  if entry.num_rows < front_end.window_rows:
    raise errors.DataError(
      f"{entry.num_rows} rows, less than a window of {front_end.window_rows}"
    )


def _check_sorted(values: npt.NDArray[Any], limit: int, what: str) -> None:
  if not len(values):
    return
  if values[0] < 0 or values[-1] >= limit or (np.diff(values) <= 0).any():
    raise errors.DataError(f"{what} indices are not sorted in [0, {limit})")


def _indptr(lengths: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[Any]:
  ends = itertools.accumulate((int(n) for n in lengths), initial=0)
  return np.array(list(ends), np.int64)


def _concatenate(rows: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
  return np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int32)


def _key(directory: str, manifest: manifest_lib.Manifest) -> str:
  """Changes with the manifest, and when a shard was touched after it."""
  digest = hashlib.sha256()
  path = files.join(directory, manifest_lib.FILE_NAME)
  digest.update(files.sha256(path).encode())
  shards = recording_shards(manifest) + manifest.shards("graph")
  for file in shards:
    stat = os.stat(files.join(directory, file.name))
    digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
  return digest.hexdigest()


def _read_cache(path: str, key: str) -> Index | None:
  try:
    with np.load(path, allow_pickle=False) as arrays:
      if str(arrays["key"]) != key:
        return None
      names = [field.name for field in dataclasses.fields(Index)]
      return Index(**{name: arrays[name] for name in names})
  except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
    return None  # Missing or damaged: it is only a cache.
