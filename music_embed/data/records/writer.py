"""Writes the files of a dataset: shards of records, and the vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import manifest, schema, sidecar, tfrecord

VOCABULARY_FILE = "vocabulary.tsv"
"""Lines of (label, tab, documents that hold it), most frequent first."""


class _Counted:
  """A file that counts and hashes what is written to it."""

  def __init__(self, file: IO[bytes]) -> None:
    self._file = file
    self._digest = hashlib.sha256()
    self._num_bytes = 0

  @property
  def num_bytes(self) -> int:
    return self._num_bytes

  def write(self, data: bytes) -> int:
    self._digest.update(data)
    self._num_bytes += len(data)
    return self._file.write(data)

  def entry(self, name: str, num_records: int) -> manifest.FileEntry:
    return manifest.FileEntry(
      name, self._num_bytes, self._digest.hexdigest(), num_records
    )


def write_shard(
  directory: str, name: str, payloads: Iterable[bytes]
) -> manifest.FileEntry:
  """Writes one TFRecord shard, which appears whole or not at all.

  Args:
    directory: the dataset's directory.
    name: file name.
    payloads: serialised records; consumed one at a time.

  Returns:
    The file's entry for the manifest.
  """
  num_records = 0
  with files.atomic_write(files.join(directory, name)) as file:
    counted = _Counted(file)
    for payload in payloads:
      tfrecord.write(counted, payload)  # type: ignore[arg-type]
      num_records += 1
  return counted.entry(name, num_records)


def write_recordings(
  directory: str, name: str, records: Iterable[schema.RecordingRecord]
) -> tuple[manifest.FileEntry, manifest.FileEntry]:
  """Writes a shard of recordings, and its sidecar after it.

  Args:
    directory: the dataset's directory.
    name: file name of the shard.
    records: consumed one at a time.

  Returns:
    The entries of both files for the manifest.
  """
  collector = sidecar.Collector()
  num_records = 0
  with files.atomic_write(files.join(directory, name)) as file:
    counted = _Counted(file)
    for record in records:
      message = record.encode()
      collector.add(counted.num_bytes + tfrecord.HEADER_BYTES, message)
      tfrecord.write(counted, message)  # type: ignore[arg-type]
      num_records += 1
  beside = sidecar.name_of(name)
  with files.atomic_write(files.join(directory, beside)) as file:
    counted_beside = _Counted(file)
    counted_beside.write(collector.finish().encode())
  return counted.entry(name, num_records), counted_beside.entry(beside, 1)


def write_text(
  directory: str, name: str, lines: Sequence[str]
) -> manifest.FileEntry:
  """Writes a UTF-8 text file atomically; lines come without their newline."""
  with files.atomic_write(files.join(directory, name)) as file:
    counted = _Counted(file)
    for line in lines:
      counted.write(f"{line}\n".encode())
  return counted.entry(name, len(lines))


def write_jsonl(
  directory: str, name: str, values: Sequence[Mapping[str, Any]]
) -> manifest.FileEntry:
  """Writes one JSON object a line, keys sorted, atomically."""
  lines = [json.dumps(v, sort_keys=True, ensure_ascii=False) for v in values]
  return write_text(directory, name, lines)


def write_vocabulary(
  directory: str, labels: Sequence[str], counts: Sequence[int]
) -> manifest.FileEntry:
  """Writes `vocabulary.tsv`."""
  pairs = zip(labels, counts, strict=True)
  lines = [f"{label}\t{count}" for label, count in pairs]
  return write_text(directory, VOCABULARY_FILE, lines)


def write_graph(
  directory: str, graph: graph_lib.Graph, *, vertices_per_shard: int
) -> list[manifest.FileEntry]:
  """Writes the graph's shards: a record for each vertex with neighbours.

  Args:
    directory: the dataset's directory.
    graph: the graph over all recordings.
    vertices_per_shard: shard k holds the vertices from k times this on.

  Returns:
    The files' entries for the manifest.
  """
  starts = range(0, graph.num_vertices, vertices_per_shard)
  entries = []
  for shard, start in enumerate(starts):
    part = slice(start, start + vertices_per_shard)
    rows = zip(graph.starts[part], graph.ends[part], strict=True)
    entries.append(
      write_shard(
        directory,
        files.shard_name("graph", shard, len(starts)),
        _vertices(start, rows, graph.indices, graph.counts),
      )
    )
  return entries


def write_graph_shard(
  directory: str,
  shard: int,
  num_shards: int,
  *,
  first: int,
  degrees: npt.NDArray[Any],
  neighbors: npt.NDArray[Any],
  counts: npt.NDArray[Any],
) -> manifest.FileEntry:
  """Writes one shard of the graph, as `write_graph` does.

  Args:
    directory: the dataset's directory.
    shard: number of the shard.
    num_shards: how many there are.
    first: index of its first recording.
    degrees: of its recordings, [recordings].
    neighbors: one row after the other, [entries].
    counts: users who listened to both, [entries].

  Returns:
    The file's entry for the manifest.
  """
  ends = np.cumsum(degrees)
  rows = zip(ends - degrees, ends, strict=True)
  name = files.shard_name("graph", shard, num_shards)
  vertices = _vertices(first, rows, neighbors, counts)
  return write_shard(directory, name, vertices)


def _vertices(
  first: int,
  rows: Iterable[tuple[int, int]],
  neighbors: npt.NDArray[Any],
  counts: npt.NDArray[Any],
) -> Iterator[bytes]:
  for vertex, (start, end) in enumerate(rows, first):
    if start < end:
      row = slice(start, end)
      yield schema.encode_vertex(vertex, neighbors[row], counts[row])
