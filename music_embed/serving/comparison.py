"""Cosine similarity of things that have one vector, or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Side:
  """What is compared with another side.

  Attributes:
    vectors: of each thing, [k, dim] with k >= 1: the one that fits best counts.
    several: whether the things are a list, and not one thing.
  """

  vectors: Sequence[Array]
  several: bool


def cosines(a: Side, b: Side) -> npt.NDArray[np.float32] | float:
  """Cosines of all pairs; 0 with a vector of zeros.

  Returns:
    float32 [things of a, things of b], without the axis of a side that is one
    thing; a float where both are.
  """
  every = np.zeros((len(a.vectors), len(b.vectors)), np.float32)
  if every.size:
    every = _best(_units(a) @ _units(b).T, a, b)
  if not b.several:
    every = every[:, 0]
  if not a.several:
    every = every[0]
  return every if a.several or b.several else float(every)


def _best(every: Array, a: Side, b: Side) -> Array:
  """[vectors of a, vectors of b] to [things of a, things of b]."""
  for axis, side in enumerate((a, b)):
    sizes = [len(vectors) for vectors in side.vectors]
    first = np.cumsum([0, *sizes[:-1]])
    every = np.maximum.reduceat(every, first, axis=axis)
  return every


def _units(side: Side) -> Array:
  """Vectors of all things at unit norm, float32 [vectors, dim]."""
  vectors = np.concatenate(side.vectors).astype(np.float32)
  norms = np.linalg.norm(vectors, axis=1, keepdims=True)
  return vectors / np.where(norms > 0, norms, 1)
