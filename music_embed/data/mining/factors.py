"""Vectors of a factorised graph on disk.

A folder of `vectors.npy`, `other_side.npy` (what folds in new vertices) and
`factors.json`, which is written last and says what they are and were made
from: a folder without it is unfinished.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

FORMAT = "music_embed.factors"
VERSION = 1
FILE_NAME = "factors.json"
VECTORS, OTHER_SIDE = "vectors.npy", "other_side.npy"


@dataclasses.dataclass(frozen=True)
class Factors:
  """An opened artefact.

  Attributes:
    directory: where it lies.
    vectors: float32 [recordings, num_factors], memory-mapped; zeros where a
      recording is no vertex: it has no edge to a training recording, or,
      with `graph: "all"`, no edge at all.
    metadata: what `factors.json` holds.
  """

  directory: str
  vectors: npt.NDArray[Any]
  metadata: Mapping[str, Any]

  @functools.cached_property
  def has_vertex(self) -> npt.NDArray[np.bool_]:
    """Recordings that have a vector: bool [recordings]."""
    return np.asarray(self.vectors).any(axis=1)

  @functools.cached_property
  def other_side(self) -> npt.NDArray[Any]:
    """float32 [recordings, num_factors], memory-mapped, for `fold_in`."""
    return _mapped(self.directory, OTHER_SIDE)


def write(
  directory: str,
  vectors: npt.NDArray[Any],
  other_side: npt.NDArray[Any],
  metadata: Mapping[str, Any],
) -> None:
  """Writes the artefact, `factors.json` last.

  Args:
    directory: exists.
    vectors: float32 [recordings, num_factors].
    other_side: float32 [recordings, num_factors].
    metadata: JSON values that say what it was made from; "dataset" must be
      among them.
  """
  path = files.join(directory, FILE_NAME)
  if os.path.exists(path):
    os.unlink(path)  # What it says is no longer so.
  checksums = {}
  for name, array in ((VECTORS, vectors), (OTHER_SIDE, other_side)):
    with files.atomic_write(files.join(directory, name)) as file:
      np.lib.format.write_array(file, np.ascontiguousarray(array, "<f4"))
    checksums[name] = files.sha256(files.join(directory, name))
  described = {"format": FORMAT, "version": VERSION, "files": checksums}
  files.write_json(path, {**metadata, **described})


def load(directory: str, dataset: str) -> Factors:
  """Opens an artefact and checks it whole.

  Args:
    directory: what `launch/factorize.py` wrote.
    dataset: fingerprint of the dataset that it is to be used with.

  Raises:
    ConfigError: there is none, or it is of another dataset.
    DataError: it is unfinished, of another version, or damaged.
  """
  metadata = _read(directory)
  if metadata.get("dataset") != dataset:
    raise errors.ConfigError(
      f"{directory} holds the vectors of another dataset: name its own, or"
      " make them with launch/factorize.py --dataset=... --output=..."
    )
  return checked(directory, metadata)


def checked(directory: str, metadata: Mapping[str, Any]) -> Factors:
  """The artefact of a folder whose metadata has been read.

  Raises:
    DataError: a file is not the one that was written.
  """
  for name in (VECTORS, OTHER_SIDE):
    path = files.join(directory, name)
    if not os.path.exists(path):
      raise _damaged(path, "is missing")
    if files.sha256(path) != metadata["files"].get(name):
      raise _damaged(path, "is not the file that was written")
  return Factors(directory, _mapped(directory, VECTORS), metadata)


def finished(directory: str, metadata: Mapping[str, Any]) -> Factors | None:
  """The artefact, if it is there, whole and made from just this.

  Args:
    directory: that may hold it.
    metadata: as given to `write`.
  """
  try:
    found = _read(directory)
    if any(found.get(key) != value for key, value in metadata.items()):
      return None
    return checked(directory, found)
  except errors.MusicEmbedError:
    return None


def _read(directory: str) -> dict[str, Any]:
  path = files.join(directory, FILE_NAME)
  if not os.path.isdir(directory):
    raise errors.ConfigError(
      f"{directory}: no such folder; make the vectors with"
      " launch/factorize.py --dataset=... --output=..."
    )
  if not os.path.exists(path):
    raise errors.DataError(
      f"{path} is missing: {directory} holds no vectors, or unfinished ones;"
      " run launch/factorize.py again"
    )
  found = files.read_json(path)
  if not isinstance(found, dict) or found.get("format") != FORMAT:
    raise errors.DataError(f"{path} does not describe vectors of a graph")
  if found.get("version") != VERSION:
    raise errors.DataError(
      f"{path} is of version {found.get('version')}, this program reads"
      f" {VERSION}: run launch/factorize.py again"
    )
  if not isinstance(found.get("files"), dict):
    raise _damaged(path, "names no files")
  return found


def _mapped(directory: str, name: str) -> npt.NDArray[Any]:
  return np.load(files.join(directory, name), mmap_mode="r")


def _damaged(path: str, what: str) -> errors.DataError:
  return errors.DataError(
    f"{path} {what}: delete the folder and run launch/factorize.py again"
  )
