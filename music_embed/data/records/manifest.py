"""`manifest.json`: what a dataset holds, how it was made, and its checksums."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

from music_embed.core import errors, files, types

SCHEMA_VERSION = 2
"""Version of the on-disk contract; readers accept no other."""

FILE_NAME = "manifest.json"
"""Name of the manifest, which is written last: it says the rest is whole."""


@dataclasses.dataclass(frozen=True)
class FileEntry:
  """One file of a dataset.

  Attributes:
    name: file name within the dataset's directory.
    num_bytes: size.
    sha256: hexadecimal SHA-256 of the contents.
    num_records: records of a shard, or lines of a text file.
  """

  name: str
  num_bytes: int
  sha256: str
  num_records: int


@dataclasses.dataclass(frozen=True)
class Manifest:
  """Typed contents of `manifest.json`; holds no times, hosts or paths.

  Attributes:
    front_end: what a row of a recording is.
    quantization: how its values are stored.
    seed: of splits, order and caps.
    options: everything else that shaped the dataset, by part.
    inputs: SHA-256 and format of each input table.
    splits: recordings of each part, by name in `types.SPLITS`.
    counts: what was read, kept and dropped, by reason.
    files: every other file of the dataset.
    schema_version: version of the contract.
  """

  front_end: types.FrontEnd
  quantization: types.Quantization
  seed: int
  options: dict[str, Any]
  inputs: dict[str, Any]
  splits: dict[str, int]
  counts: dict[str, int]
  files: tuple[FileEntry, ...]
  schema_version: int = SCHEMA_VERSION

  @property
  def row_bytes(self) -> int:
    """Size of a stored row."""
    values = math.prod(self.front_end.row_shape)
    return values * self.quantization.storage.itemsize

  def to_json(self) -> dict[str, Any]:
    """The contents of `manifest.json`."""
    return dataclasses.asdict(self) | {
      "front_end": self.front_end.to_json(),
      "quantization": self.quantization.to_json(),
    }

  def shards(self, prefix: str) -> list[FileEntry]:
    """Shards of a split, or of "graph", in order."""
    return sorted(
      (f for f in self.files if f.name.startswith(f"{prefix}.tfrecord-")),
      # Numbers are padded to five digits, and may have more.
      key=lambda file: (len(file.name), file.name),
    )

  def save(self, directory: str) -> None:
    """Writes the manifest into a dataset's directory, atomically."""
    path = files.join(directory, FILE_NAME)
    files.write_json(path, self.to_json())


def load(directory: str, *, check_files: bool = True) -> Manifest:
  """Reads and checks the manifest of a dataset.

  Args:
    directory: a dataset's directory.
    check_files: whether every file that it names must be there, with its
      size. Sidecars may be missing: they are made again.

  Returns:
    The manifest.

  Raises:
    DataError: there is no manifest, it has another schema version or a
      missing field, its numbers contradict each other, or a file is missing
      or has another size.
  """
  path = files.join(directory, FILE_NAME)
  if not files.exists(path):
    raise errors.DataError(
      f"{directory} holds no finished dataset (no {FILE_NAME}): run"
      " launch/prepare.py, again if it was interrupted"
    )
  values = files.read_json(path)
  version = values.get("schema_version") if isinstance(values, dict) else None
  if version != SCHEMA_VERSION:
    raise errors.DataError(
      f"{path}: schema version {version}, but this code reads version"
      f" {SCHEMA_VERSION}: prepare the dataset again"
    )
  try:
    values["front_end"] = types.front_end_from_json(values["front_end"])
    values["quantization"] = types.Quantization(
      **values["quantization"]
    ).resolved(values["front_end"])
    values["files"] = tuple(FileEntry(**entry) for entry in values["files"])
    manifest = Manifest(**values)
  except (KeyError, TypeError, errors.ConfigError) as error:
    raise errors.DataError(f"{path}: malformed ({error})") from error
  for split in types.SPLITS:
    held = sum(shard.num_records for shard in manifest.shards(split))
    if held != manifest.splits.get(split):
      raise errors.DataError(
        f"{path}: the shards of {split} hold {held} recordings, but the split"
        f" {manifest.splits.get(split)}"
      )
  if check_files:
    _check_files(directory, manifest)
  return manifest


def _check_files(directory: str, manifest: Manifest) -> None:
  if files.is_remote(directory):
    return  # One request per file: the reader meets what is missing.
  for entry in manifest.files:
    if ".index-" in entry.name:
      continue
    path = os.path.join(directory, entry.name)
    try:
      size = os.path.getsize(path)
    except FileNotFoundError as error:
      raise errors.DataError(
        f"{path} is missing: the manifest names it"
      ) from error
    if size != entry.num_bytes:
      raise errors.DataError(
        f"{path} has {size} bytes, but {entry.num_bytes} in the manifest:"
        " cut short, or of another dataset"
      )
