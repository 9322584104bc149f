"""The index of a dataset: where each payload lies, and all that is small.

Memory-mapped, and derived from the sidecars of the shards: opening a dataset
reads no payload, and after the first time no sidecar either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files, types
from music_embed.data.records import cache, columns, sidecar
from music_embed.data.records import manifest as manifest_lib

CACHE = "index"
"""Name of the cache."""

_FORMAT = 1
_READERS = 16
_SHARDS_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Index:
  """Arrays over all recordings, in the order of their indices.

  Attributes:
    shard: int32 [recordings], position in the list of recording shards.
    offset: int64 [recordings], byte in the shard where the payload starts.
    num_rows: int64 [recordings].
    label_indptr: int64 [recordings + 1].
    label_indices: int32 [entries], sorted within a recording.
    max_labels: labels of the recording that has most, int64 [].
    texts: by `sidecar.COLUMNS`.
  """

  shard: npt.NDArray[Any]
  offset: npt.NDArray[Any]
  num_rows: npt.NDArray[Any]
  label_indptr: npt.NDArray[Any]
  label_indices: npt.NDArray[Any]
  max_labels: npt.NDArray[Any]
  texts: dict[str, columns.TextColumn]


def recording_shards(
  manifest: manifest_lib.Manifest,
) -> list[manifest_lib.FileEntry]:
  """Shards of recordings in the order of the recordings' indices."""
  return [shard for split in types.SPLITS for shard in manifest.shards(split)]


def load(directory: str, manifest: manifest_lib.Manifest) -> Index:
  """The cached index, or a new one where the cache is missing or stale.

  Args:
    directory: a dataset's directory, local or remote.
    manifest: its manifest.

  Returns:
    The index, memory-mapped.

  Raises:
    DataError: a sidecar had to be made again and its shard is damaged, or
      one breaks the contract; names shard and record.
  """
  manifest_path = files.join(directory, manifest_lib.FILE_NAME)
  arrays = cache.obtain(
    directory,
    CACHE,
    {"format": _FORMAT, "manifest": files.sha256(manifest_path)},
    lambda builder: build(builder, directory, manifest),
  )
  texts = {
    name: columns.TextColumn(arrays[f"{name}_indptr"], arrays[f"{name}_utf8"])
    for name in sidecar.COLUMNS
  }
  names = [f.name for f in dataclasses.fields(Index) if f.name != "texts"]
  return Index(**{name: arrays[name] for name in names}, texts=texts)


def build(
  builder: cache.Builder, directory: str, manifest: manifest_lib.Manifest
) -> None:
  """Joins the sidecars, a few at a time.

  Args:
    builder: takes the arrays of an `Index`.
    directory: the dataset's directory.
    manifest: its manifest.

  Raises:
    DataError: as `load`.
  """
  shard_of = builder.stream("shard", np.int32)
  offset = builder.stream("offset", np.int64)
  num_rows = builder.stream("num_rows", np.int64)
  label_indices = builder.stream("label_indices", np.int32)
  labels = _Rows(builder, "label_indptr")
  utf8 = {n: builder.stream(f"{n}_utf8", np.uint8) for n in sidecar.COLUMNS}
  texts = {n: _Rows(builder, f"{n}_indptr") for n in sidecar.COLUMNS}
  for number, (shard, part) in enumerate(_sidecars(directory, manifest)):
    _check(files.join(directory, shard.name), part, manifest)
    shard_of.append(np.full(len(part.offset), number))
    offset.append(part.offset)
    num_rows.append(part.num_rows)
    label_indices.append(part.labels)
    labels.append(part.label_lengths)
    for name in sidecar.COLUMNS:
      utf8[name].append(np.frombuffer(part.texts[name], np.uint8))
      texts[name].append(part.text_lengths[name])
  builder.put("max_labels", np.array(labels.longest))


class _Rows:
  """Appends lengths of rows as where they start and end."""

  def __init__(self, builder: cache.Builder, name: str) -> None:
    self._ends = builder.stream(name, np.int64)
    self._ends.append(np.zeros(1, np.int64))
    self._total = 0
    self.longest = 0

  def append(self, lengths: npt.NDArray[Any]) -> None:
    self._ends.append(self._total + np.cumsum(lengths))
    self._total += int(lengths.sum())
    self.longest = max(self.longest, int(lengths.max(initial=0)))


def _sidecars(
  directory: str, manifest: manifest_lib.Manifest
) -> Iterator[tuple[manifest_lib.FileEntry, sidecar.Sidecar]]:
  """All shards with their sidecars, read in parallel and given in order."""
  entries = {file.name: file for file in manifest.files}
  shards = recording_shards(manifest)

  def read(shard: manifest_lib.FileEntry) -> sidecar.Sidecar:
    expected = entries.get(sidecar.name_of(shard.name))
    return sidecar.read(directory, shard, expected)

  with futures.ThreadPoolExecutor(_READERS) as pool:
    for first in range(0, len(shards), _SHARDS_AT_ONCE):
      chunk = shards[first : first + _SHARDS_AT_ONCE]
      yield from zip(chunk, pool.map(read, chunk), strict=True)


def _check(
  path: str, part: sidecar.Sidecar, manifest: manifest_lib.Manifest
) -> None:
  """Raises DataError where a shard does not fit the manifest."""
  if not len(part.num_rows):
    return
  if part.row_bytes != manifest.row_bytes:
    raise errors.DataError(
      f"{path}: rows of {part.row_bytes} bytes, but {manifest.row_bytes} by the"
      " manifest: written with another front end?"
    )
  window_rows = manifest.front_end.window_rows
  short = int(part.num_rows.argmin())
  if part.num_rows[short] < window_rows:
    raise errors.DataError(
      f"{path}: record {short}: {part.num_rows[short]} rows, less than a window"
      f" of {window_rows}"
    )
  num_labels = manifest.counts["labels"]
  wrong = (part.labels < 0) | (part.labels >= num_labels)
  if wrong.any():
    entry = int(wrong.argmax())
    ends = np.cumsum(part.label_lengths)
    record = int(np.searchsorted(ends, entry, side="right"))
    raise errors.DataError(
      f"{path}: record {record}: label {part.labels[entry]} is not one of the"
      f" {num_labels} of the vocabulary"
    )
