"""`index.json`: what an index is, and which files hold it.

Data files carry the number of their generation: whoever changes an index
writes new files beside the old ones, then replaces `index.json`, then deletes
what it no longer names. So an index is always the old one or the new one.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import Any, Literal

from music_embed.core import errors, files

FORMAT = "music_embed.index/1"
FILE_NAME = "index.json"
LOCK_FILE = ".lock"

Kind = Literal["flat", "ivf", "hnsw"]

VECTORS = "vectors.npy"
CATALOGUE = "catalogue.arrow"
FINDER = "finder.faiss"
LABELS = "labels.tsv"
LABEL_VECTORS = "label_vectors.npy"

_NAMES = (VECTORS, CATALOGUE, FINDER, LABELS, LABEL_VECTORS)
_GENERATION = re.compile(r"-(\d{5})\.")


@dataclasses.dataclass(frozen=True)
class Stored:
  """A data file.

  Attributes:
    name: in the index's folder.
    size: bytes.
    sha256: hexadecimal, of its bytes.
  """

  name: str
  size: int
  sha256: str

  @classmethod
  def of(cls, path: str) -> Stored:
    """Describes a file that is there."""
    return cls(os.path.basename(path), files.size(path), files.sha256(path))


@dataclasses.dataclass(frozen=True)
class Card:
  """Contents of `index.json`.

  Attributes:
    kind: how nearest recordings are found.
    size: recordings.
    dim: numbers of a vector.
    num_labels: words that the index can be asked for; 0 for none.
    fingerprint: of the model that made the vectors; empty where unknown.
    model: its directory when the index was built; empty where unknown.
    generation: of the data files.
    stored: data files, by their names without generation.
    finder: what the build decided of an approximate index, and why: numbers of
      lists, what is searched, recall; empty of a flat one.
  """

  kind: Kind
  size: int
  dim: int
  num_labels: int
  fingerprint: str
  model: str
  generation: int
  stored: Mapping[str, Stored]
  finder: Mapping[str, Any]

  def path(self, folder: str, name: str) -> str:
    """Where a data file lies; raises KeyError where the index has none."""
    return files.join(folder, self.stored[name].name)

  def write(self, folder: str) -> None:
    """Replaces `index.json`."""
    value = dataclasses.asdict(self)
    files.write_json(files.join(folder, FILE_NAME), {"format": FORMAT, **value})

  def same_as(self, other: Card) -> bool:
    """Whether both name the same contents, of whatever generation."""

    def contents(card: Card) -> dict[str, Any]:
      value = dataclasses.asdict(card)
      del value["generation"]
      value["stored"] = {n: s.sha256 for n, s in card.stored.items()}
      return value

    return contents(self) == contents(other)

  @classmethod
  def read(cls, folder: str) -> Card:
    """Reads `index.json`.

    Raises:
      ConfigError: there is none, or of another format.
      DataError: it is damaged.
    """
    path = files.join(folder, FILE_NAME)
    if not os.path.exists(path):
      raise _none_here(folder)
    value = files.read_json(path)
    found = value.get("format") if isinstance(value, dict) else None
    if found != FORMAT:
      raise errors.ConfigError(
        f"{path}: not an index that this version reads ({FORMAT}): build it"
        " again into another folder"
      )
    try:
      del value["format"]
      stored = {n: Stored(**s) for n, s in value.pop("stored").items()}
      card = cls(stored=stored, **value)
      _ = card.stored[VECTORS], card.stored[CATALOGUE]
    except (AttributeError, KeyError, TypeError) as error:
      raise errors.DataError(
        f"{path}: damaged ({error!r}): build the index again"
      ) from error
    return card


def generation_name(name: str, generation: int) -> str:
  """`vectors-00002.npy`, of `vectors.npy`."""
  stem, ending = os.path.splitext(name)
  return f"{stem}-{generation:05d}{ending}"


def remove_other_generations(folder: str, keep: int | None) -> None:
  """Deletes data files that `index.json` does not name."""
  for name in os.listdir(folder):
    generation = _GENERATION.search(name)
    if generation is None or int(generation[1]) == keep:
      continue
    if name.replace(generation[0], ".") in _NAMES:
      os.unlink(os.path.join(folder, name))


def _none_here(folder: str) -> errors.ConfigError:
  """What is wrong with a folder without `index.json`."""
  if not os.path.isdir(folder):
    return errors.ConfigError(f"{folder}: no such index")
  return errors.ConfigError(
    f"{folder}: no index here ({FILE_NAME} is missing): name a folder that"
    " launch/index.py wrote"
  )


def require_size(folder: str, stored: Stored) -> None:
  """Checks that a data file is there, whole.

  Raises:
    FileNotFoundError: it is not there.
    DataError: it has another size.
  """
  path = files.join(folder, stored.name)
  size = os.stat(path).st_size
  if size != stored.size:
    raise errors.DataError(
      f"{path}: damaged: {size} bytes, not {stored.size}: build the index again"
    )
