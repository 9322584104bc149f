"""Parts of a query as vectors, and what recordings score by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Directions:
  """A part of a query.

  Attributes:
    sign: 1, or -1 for what is not wanted.
    vectors: float32 [senses, dim], unit norm; a recording scores by the
      nearest one.
    names: of the senses; empty where there is but one.
  """

  sign: Literal[1, -1]
  vectors: npt.NDArray[np.float32]
  names: list[str]


def scores(
  parts: Sequence[Directions], vectors: Array
) -> npt.NDArray[np.float32]:
  """Means of signed cosines.

  Args:
    parts: of a query, at least one.
    vectors: of recordings, float32 [n, dim], unit norm.

  Returns:
    float32 [n].
  """
  total = np.zeros(len(vectors), np.float32)
  for part in parts:
    total += part.sign * (vectors @ part.vectors.T).max(axis=1)
  mean: npt.NDArray[np.float32] = total / len(parts)
  return mean


def vias(parts: Sequence[Directions], vectors: Array) -> list[str]:
  """By which senses recordings score, of terms that are wanted.

  Args:
    parts: of a query.
    vectors: of recordings, float32 [n, dim], unit norm.

  Returns:
    For each recording a sense of each term that has several, joined by " + ";
    empty where there is no such term.
  """
  chosen = [
    [part.names[sense] for sense in (vectors @ part.vectors.T).argmax(axis=1)]
    for part in parts
    if part.sign > 0 and part.names
  ]
  return [
    " + ".join(senses[place] for senses in chosen)
    for place in range(len(vectors))
  ]
