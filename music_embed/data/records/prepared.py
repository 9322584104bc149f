"""A prepared dataset, on a local disk or an object store."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import columns, graph_store, payloads, writer
from music_embed.data.records import index as index_lib
from music_embed.data.records import manifest as manifest_lib


class PreparedDataset:
  """What `launch/prepare.py` wrote.

  A recording's index is its position over the train shards, then validation,
  then evaluation. Safe to use from several threads, and after a fork.

  On an object store, everything small is read once and cached locally
  (`records.cache`); windows and rows are ranged requests, which suits
  validation and evaluation. Training there should read materialised shards.

  Attributes:
    directory: where it lies.
    manifest: its manifest.
  """

  def __init__(self, directory: str) -> None:
    """Opens a dataset, reading its index (built and cached the first time).

    Args:
      directory: the `--output` of prepare, or a copy of it that TensorFlow's
        file systems reach.

    Raises:
      DataError: it is missing, unfinished, of another version, or damaged;
        the message names file and record.
    """
    self.directory = directory
    self.manifest = manifest_lib.load(directory)
    self._index = index_lib.load(directory, self.manifest)
    shards = index_lib.recording_shards(self.manifest)
    self._payloads = payloads.reader(directory, [s.name for s in shards])

  @property
  def front_end(self) -> types.FrontEnd:
    """What a row of a recording is."""
    return self.manifest.front_end

  @property
  def quantization(self) -> types.Quantization:
    """How its values are stored."""
    return self.manifest.quantization

  @property
  def num_recordings(self) -> int:
    """Recordings of all splits."""
    return len(self._index.num_rows)

  @property
  def num_rows(self) -> npt.NDArray[Any]:
    """Rows of each recording, at least a window: int64 [recordings]."""
    return self._index.num_rows

  @property
  def window_shape(self) -> tuple[int, ...]:
    """Shape of one window: [rows, *row_shape]."""
    return self.front_end.window_shape

  @property
  def window_dtype(self) -> np.dtype[Any]:
    """Dtype of stored windows."""
    return self.quantization.storage

  def split_range(self, split: str) -> range:
    """Indices of the recordings of a split, one of `types.SPLITS`."""
    sizes = [self.manifest.splits[name] for name in types.SPLITS]
    position = types.SPLITS.index(split)
    start = sum(sizes[:position])
    return range(start, start + sizes[position])

  @property
  def recording_ids(self) -> Sequence[str]:
    """Ids of the recordings table, by index."""
    return self._index.texts["recording_id"]

  @property
  def titles(self) -> Sequence[str]:
    """Titles, by index."""
    return self._index.texts["title"]

  @property
  def artists(self) -> Sequence[str]:
    """Artists, by index; empty where unknown."""
    return self._index.texts["artist"]

  @property
  def flags(self) -> Sequence[tuple[str, ...]]:
    """Flags of `records.schema`, by index."""
    return columns.FlagColumn(self._index.texts["flags"])

  @functools.cached_property
  def _vocabulary_lines(self) -> list[list[str]]:
    path = files.join(self.directory, writer.VOCABULARY_FILE)
    text = files.read_bytes(path).decode()
    return [line.split("\t") for line in text.split("\n")[:-1]]

  @functools.cached_property
  def vocabulary(self) -> list[str]:
    """Labels, most frequent first; positions are the label ids."""
    return [label for label, _ in self._vocabulary_lines]

  @functools.cached_property
  def label_counts(self) -> npt.NDArray[Any]:
    """Training texts that hold each label, int64 [labels]."""
    counts = [int(count) for _, count in self._vocabulary_lines]
    return np.array(counts, np.int64)

  @property
  def labels_csr(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(indptr int64 [recordings + 1], label ids int32 [entries])."""
    return self._index.label_indptr, self._index.label_indices

  def label_ids(self, index: int) -> npt.NDArray[Any]:
    """Sorted label ids of a recording, int32 [labels]."""
    indptr, indices = self.labels_csr
    return indices[indptr[index] : indptr[index + 1]]

  @property
  def max_labels(self) -> int:
    """Labels of the recording that has most."""
    return int(self._index.max_labels)

  def graph(self, split: str | None) -> graph_lib.Graph:
    """The co-listen graph over global indices.

    Args:
      split: keep only edges with both ends in this split; None keeps all.

    Returns:
      A graph of `num_recordings` vertices.
    """
    return graph_store.load(self.directory, self.manifest, split)

  @functools.cached_property
  def fingerprint(self) -> str:
    """What tells one dataset from another: its manifest's SHA-256."""
    return files.sha256(files.join(self.directory, manifest_lib.FILE_NAME))

  @functools.cached_property
  def graph_checksum(self) -> str:
    """Hexadecimal SHA-256 over the checksums of the graph's shards."""
    digests = [file.sha256 for file in self.manifest.shards("graph")]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()

  def windows(
    self,
    recordings: npt.NDArray[Any],
    starts: npt.NDArray[Any],
    out: npt.NDArray[Any] | None = None,
  ) -> npt.NDArray[Any]:
    """Reads windows, locally by one positioned read each.

    Args:
      recordings: indices, int64 [n].
      starts: first row of each window, int64 [n].
      out: where to, contiguous; None makes a new array.

    Returns:
      [n, *window_shape] of `window_dtype`.

    Raises:
      IndexError: a window reaches beyond its recording.
      DataError: a shard has become shorter.
    """
    last = self.num_rows[recordings] - self.front_end.window_rows
    if (starts < 0).any() or (starts > last).any():
      raise IndexError("a window reaches beyond its recording")
    if out is None:
      shape = (len(recordings), *self.window_shape)
      out = np.empty(shape, self.window_dtype)
    offsets = self._index.offset[recordings] + starts * self.manifest.row_bytes
    shards = self._index.shard[recordings]
    self._payloads.read(shards, offsets, out)
    return out

  def rows(self, index: int) -> npt.NDArray[Any]:
    """All of a recording, as stored: [rows, *row_shape]."""
    shape = (1, int(self.num_rows[index]), *self.front_end.row_shape)
    out = np.empty(shape, self.window_dtype)
    place = [index]
    self._payloads.read(
      self._index.shard[place], self._index.offset[place], out
    )
    return out[0]
