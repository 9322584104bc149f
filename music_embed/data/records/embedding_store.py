"""Embeddings of all recordings by a network that trains no more, on disk.

A directory of `embeddings.npy`, `indptr.npy` and, written last,
`embeddings.json`. It says which dataset and which network they are of, so that
no other's are taken for them. One that was cut short holds `progress.json`
instead and is gone on with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

Array = npt.NDArray[Any]

FORMAT = "embeddings"
VERSION = 1
WINDOWS = "windows"
RECORDINGS = "recordings"
GRANULARITIES = (WINDOWS, RECORDINGS)
METADATA_FILE = "embeddings.json"
_VECTORS_FILE = "embeddings.npy"
_INDPTR_FILE = "indptr.npy"
_PROGRESS_FILE = "progress.json"


@dataclasses.dataclass(frozen=True)
class EmbeddingStore:
  """Embeddings by recording; a recording's rows lie one after another.

  Attributes:
    directory: where it lies; empty where it is not on disk.
    embeddings: float32 [rows, dim], memory-mapped.
    indptr: first row of each recording, int64 [recordings + 1].
    metadata: what `embeddings.json` holds: format, version, key, rows, dim
      and the files' SHA-256.
  """

  directory: str
  embeddings: Array
  indptr: Array
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def granularity(self) -> str:
    """What a row is: one of `GRANULARITIES`."""
    found = self.metadata.get("key", {}).get("granularity", WINDOWS)
    return str(found)

  @property
  def num_recordings(self) -> int:
    """Recordings of the dataset."""
    return len(self.indptr) - 1

  @property
  def dim(self) -> int:
    """Numbers of an embedding."""
    return int(self.embeddings.shape[1])

  def means(self, recordings: Array) -> Array:
    """Plain means of recordings' rows.

    Args:
      recordings: indices, int [n].

    Returns:
      float32 [n, dim], not renormalised; sums are taken in float64.
    """
    means = np.empty((len(recordings), self.dim), np.float32)
    for place, index in enumerate(recordings):
      rows = self.embeddings[self.indptr[index] : self.indptr[index + 1]]
      means[place] = rows.mean(axis=0, dtype=np.float64)
    return means


def planned(rows_each: Array, dim: int) -> EmbeddingStore:
  """A store of zeros that takes no memory, to check what will read one.

  Args:
    rows_each: rows of each recording, int [recordings].
    dim: numbers of an embedding.
  """
  indptr = _indptr(rows_each)
  zeros = np.broadcast_to(np.float32(0), (int(indptr[-1]), dim))
  return EmbeddingStore("", zeros, indptr)


def load(directory: str, dataset: str) -> EmbeddingStore:
  """Opens a finished store.

  Args:
    directory: of the store.
    dataset: fingerprint of the dataset that it must be of.

  Raises:
    ConfigError: it is of another dataset.
    DataError: it is missing, unfinished or damaged.
  """
  path = files.join(directory, METADATA_FILE)
  if not files.exists(path):
    raise errors.DataError(
      f"{directory}: no finished embeddings here ({METADATA_FILE} is missing)"
    )
  metadata = files.read_json(path)
  if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
    raise errors.DataError(
      f"{path}: not embeddings of version {VERSION}: delete {directory} and "
      "run again"
    )
  if metadata["key"]["dataset"] != dataset:
    raise errors.ConfigError(
      f"{directory}: embeddings of another dataset: name another directory, or "
      "delete this one and run again"
    )
  try:
    embeddings = np.load(files.join(directory, _VECTORS_FILE), mmap_mode="r")
    indptr = np.load(files.join(directory, _INDPTR_FILE))
  except (OSError, ValueError) as error:
    raise _damaged(directory, str(error)) from error
  shape = (metadata["rows"], metadata["dim"])
  sha256 = files.sha256(files.join(directory, _INDPTR_FILE))
  if embeddings.shape != shape or sha256 != metadata["sha256"][_INDPTR_FILE]:
    raise _damaged(directory, "its files are not those that were written")
  return EmbeddingStore(directory, embeddings, indptr, metadata)


def find(directory: str, key: Mapping[str, Any]) -> EmbeddingStore | None:
  """The finished store of a key; None where there is none yet.

  Args:
    directory: of the store.
    key: what decides the embeddings, as JSON values: "dataset", "network",
      "granularity" and more.

  Raises:
    ConfigError: the directory holds, or has begun, embeddings of another key.
    DataError: it is damaged.
  """
  path = files.join(directory, METADATA_FILE)
  begun = files.join(directory, _PROGRESS_FILE)
  is_finished = files.exists(path)
  if not is_finished and not files.exists(begun):
    return None
  found = files.read_json(path if is_finished else begun).get("key", {})
  if found != dict(key):
    differing = [name for name in key if found.get(name) != key[name]]
    raise errors.ConfigError(
      f"{directory}: embeddings of another {' and '.join(differing)}: name "
      "another directory, or delete this one and run again"
    )
  return load(directory, key["dataset"]) if is_finished else None


class Writer:
  """Fills a store in the order of the recordings.

  Attributes:
    done: recordings whose rows are on disk.
  """

  def __init__(
    self, directory: str, *, key: Mapping[str, Any], rows_each: Array
  ) -> None:
    """Begins a store, or goes on with one that was cut short.

    Args:
      directory: of the store; created where missing.
      key: see `find`, which has found none.
      rows_each: rows of each recording, int [recordings].
    """
    files.make_dirs(directory)
    files.remove_leftovers(directory)
    self._directory = directory
    self._key = dict(key)
    self._indptr = _indptr(rows_each)
    self._vectors: Array | None = None
    self.done = 0
    path = files.join(directory, _PROGRESS_FILE)
    if files.exists(path) and files.exists(self._path(_VECTORS_FILE)):
      self._vectors = np.load(self._path(_VECTORS_FILE), mmap_mode="r+")
      self.done = int(files.read_json(path)["recordings"])

  def write(self, recordings: int, embeddings: Array) -> None:
    """Adds the rows of the next recordings.

    Args:
      recordings: how many.
      embeddings: their rows, [rows, dim].
    """
    begin, end = self._indptr[[self.done, self.done + recordings]]
    if self._vectors is None:
      shape = (int(self._indptr[-1]), embeddings.shape[1])
      self._vectors = np.lib.format.open_memmap(
        self._path(_VECTORS_FILE), "w+", np.float32, shape
      )
    self._vectors[begin:end] = embeddings
    if isinstance(self._vectors, np.memmap):
      self._vectors.flush()
    self.done += recordings
    files.write_json(
      self._path(_PROGRESS_FILE), {"key": self._key, "recordings": self.done}
    )

  def finish(self) -> EmbeddingStore:
    """Writes what makes it a store, and opens it."""
    assert self._vectors is not None
    rows, dim = self._vectors.shape
    self._vectors = None
    with files.atomic_write(self._path(_INDPTR_FILE)) as file:
      np.save(file, self._indptr)
    metadata = {
      "format": FORMAT,
      "version": VERSION,
      "key": self._key,
      "rows": rows,
      "dim": dim,
      "sha256": {
        name: files.sha256(self._path(name))
        for name in (_VECTORS_FILE, _INDPTR_FILE)
      },
    }
    files.write_json(self._path(METADATA_FILE), metadata)
    with contextlib.suppress(FileNotFoundError):
      os.unlink(self._path(_PROGRESS_FILE))
    return load(self._directory, self._key["dataset"])

  def _path(self, name: str) -> str:
    return files.join(self._directory, name)


def _indptr(rows_each: Array) -> Array:
  return np.concatenate([[0], np.cumsum(rows_each, dtype=np.int64)])


def _damaged(directory: str, reason: str) -> errors.DataError:
  return errors.DataError(
    f"{directory}: these embeddings are damaged ({reason}): delete the "
    "directory and run again"
  )
