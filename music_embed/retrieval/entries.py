"""Recordings on their way into an index."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Entries:
  """Some recordings; every list is as long as `ids`.

  Attributes:
    ids: of the recordings.
    vectors: float32 [n, dim], of any norm.
    titles: empty where unknown.
    artists: empty where unknown.
    audio: absolute paths; empty where unknown.
    durations_s: 0 where unknown.
    labels: of each recording, best first.
    scores: of those labels.
  """

  ids: list[str]
  vectors: npt.NDArray[np.float32]
  titles: list[str]
  artists: list[str]
  audio: list[str]
  durations_s: list[float]
  labels: list[list[str]]
  scores: list[list[float]]

  @classmethod
  def bare(cls, ids: list[str], vectors: npt.NDArray[Any]) -> Entries:
    """Recordings of which nothing but vectors is known."""
    n = len(ids)
    unknown = [""] * n
    none: list[list[Any]] = [[] for _ in ids]
    vectors = np.asarray(vectors, np.float32)
    return cls(ids, vectors, unknown, unknown, unknown, [0.0] * n, none, none)

  def __len__(self) -> int:
    return len(self.ids)

  @classmethod
  def joined(cls, several: Sequence[Entries]) -> Entries:
    """Several, one after the other."""
    if len(several) == 1:
      return several[0]
    fields: dict[str, Any] = {
      name: [value for some in several for value in getattr(some, name)]
      for name in _LISTS
    }
    vectors = np.concatenate([some.vectors for some in several])
    return cls(vectors=vectors, **fields)

  def described(self, place: int) -> tuple[Any, ...]:
    """All that is known of one but its vector, to be compared."""
    scores = np.asarray(self.scores[place], np.float32).tolist()
    names = [name for name in _LISTS if name != "scores"]
    return *(getattr(self, name)[place] for name in names), scores

  def take(self, places: list[int]) -> Entries:
    """Some of them, in the order given."""
    fields: dict[str, Any] = {
      name: [getattr(self, name)[place] for place in places] for name in _LISTS
    }
    return Entries(vectors=self.vectors[places], **fields)


_LISTS = [
  field.name for field in dataclasses.fields(Entries) if field.name != "vectors"
]
