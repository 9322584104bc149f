"""What is compared: embeddings of the three parts, by system."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from music_embed.evaluation.arrays import Array

SYSTEM_ORDER = (
  "random",
  "audio_statistics",
  "ridge",
  "untrained",
  "label_only",
  "triplet_only",
  "hybrid",
  "cf_regression",
  "wmf",
)
"""Order of the known systems in tables; others come before `wmf`."""


@dataclasses.dataclass(frozen=True)
class Parts:
  """One array for each part of a dataset, rows aligned with its recordings.

  Arrays are dense, or sparse where a docstring says so.

  Attributes:
    train: `[train_recordings, ...]`.
    validation: `[validation_recordings, ...]`.
    evaluation: `[evaluation_recordings, ...]`.
  """

  train: Any
  validation: Any
  evaluation: Any

  def __iter__(self) -> Iterator[Any]:
    """Train, validation, evaluation."""
    return iter((self.train, self.validation, self.evaluation))

  def map(self, function: Callable[[Any], Any]) -> Parts:
    """Applies a function to each part's array."""
    return Parts(*(function(values) for values in self))


@dataclasses.dataclass(frozen=True)
class System:
  """One system's answers.

  Attributes:
    embeddings: float32 `[recordings, dim]` for each part, not necessarily of
      unit norm.
    label_scores: float32 `[evaluation_recordings, labels]`, mean posteriors
      of the system's own label head for the labels under test; None for a
      system without one.
    description: what it is, in a few words for the report.
  """

  embeddings: Parts
  label_scores: Array | None = None
  description: str = ""


def ordered(names: Mapping[str, object] | list[str]) -> list[str]:
  """System names in table order: known ones by rank, others before wmf."""
  rank = {name: float(i) for i, name in enumerate(SYSTEM_ORDER)}
  other = rank["wmf"] - 0.5
  return sorted(names, key=lambda name: (rank.get(name, other), name))


def z_scored(embeddings: Parts) -> Parts:
  """Each dimension to mean 0 and deviation 1 over the training part.

  Dimensions that are constant there are left at 0.
  """
  mean = embeddings.train.mean(axis=0, dtype=np.float64)
  deviation = embeddings.train.std(axis=0, dtype=np.float64)
  scale = np.where(deviation > 1e-8, 1.0 / np.maximum(deviation, 1e-8), 0.0)
  return embeddings.map(lambda x: ((x - mean) * scale).astype(np.float32))


READ_OUTS: dict[str, Callable[[Parts], Parts]] = {
  "raw": lambda embeddings: embeddings,
  "z_scored": z_scored,
}
"""Ways to read a system's embeddings before cosines are taken."""
