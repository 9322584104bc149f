"""The label kernel's start: a row is drawn by its number alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import seeds

_CHUNK_ROWS = 4_096
_STREAM = "label_head/kernel"


def glorot_uniform(
  seed: int, *, num_labels: int, dim: int, start: int, stop: int
) -> npt.NDArray[Any]:
  """Some rows of a Glorot-uniform `[num_labels, dim]` kernel.

  The kernel does not depend on how it is cut: any head, on any number of
  replicas, starts from the same one.

  Args:
    seed: of the run.
    num_labels: rows of the whole kernel.
    dim: its columns.
    start: first row.
    stop: one past the last row, at most `num_labels`.

  Returns:
    Rows `[start, stop)`, float32 [stop - start, dim].
  """
  limit = math.sqrt(6.0 / (num_labels + dim))
  rows = np.empty((stop - start, dim), np.float32)
  for chunk in range(start // _CHUNK_ROWS, -(-stop // _CHUNK_ROWS)):
    first = chunk * _CHUNK_ROWS
    drawn = seeds.generator(seed, _STREAM, chunk).random(
      (_CHUNK_ROWS, dim), np.float32
    )
    low, high = max(start, first), min(stop, first + _CHUNK_ROWS)
    rows[low - start : high - start] = drawn[low - first : high - first]
  return np.float32(2.0 * limit) * rows - np.float32(limit)
