"""Labels that lie near a vector: cosines to the rows of a softmax layer.

Huang et al. 2020, section 3.4 and Table 3: the l2-normalised columns of the
softmax layer are the labels' embeddings, in the space of the recordings'.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from music_embed.evaluation.arrays import Array

_ROWS_PER_BLOCK = 65_536


@dataclasses.dataclass(frozen=True)
class Nearest:
  """The nearest labels of each query, nearest first.

  Attributes:
    labels: int64 `[queries, k]`; -1 where there are no more.
    cosines: float32 `[queries, k]`; -inf there.
  """

  labels: Array
  cosines: Array


def unit_rows(vectors: Array) -> Array:
  """Rows at unit l2 norm, `[rows, dim]`; zeros stay zeros."""
  norms = np.linalg.norm(vectors, axis=1, keepdims=True)
  return vectors / np.maximum(norms, 1e-12)


def nearest(
  queries: Array,
  kernel: Array,
  *,
  top_k: int,
  left_out: Sequence[Array] | None = None,
) -> Nearest:
  """Labels by falling cosine, equal ones by their ids.

  Memory beside the arguments is that of one block of rows.

  Args:
    queries: `[queries, dim]`.
    kernel: `[labels, dim]`, one row a label; neither need be of unit norm.
    top_k: labels wanted for each query.
    left_out: label ids that do not count, int `[...]` for each query.

  Returns:
    `top_k` labels a query, or as many as there are rows.
  """
  unit = unit_rows(np.asarray(queries, np.float32))
  top_k = min(top_k, len(kernel))
  labels = np.full((len(unit), top_k), -1, np.int64)
  cosines = np.full((len(unit), top_k), -np.inf, np.float32)
  for start in range(0, len(kernel), _ROWS_PER_BLOCK):
    block = np.asarray(kernel[start : start + _ROWS_PER_BLOCK], np.float32)
    scores = unit @ unit_rows(block).T
    for row, ids in enumerate(left_out or ()):
      inside = (ids >= start) & (ids < start + len(block))
      scores[row, ids[inside] - start] = -np.inf
    ids = np.broadcast_to(np.arange(start, start + len(block)), scores.shape)
    labels, cosines = _best(
      np.concatenate([labels, ids], axis=1),
      np.concatenate([cosines, scores], axis=1),
      top_k,
    )
  return Nearest(np.where(np.isneginf(cosines), -1, labels), cosines)


def nearest_terms(
  queries: Array,
  kernel: Array,
  terms: Array,
  *,
  top_k: int,
  left_out: Sequence[Array] | None = None,
) -> Nearest:
  """As `nearest`, but a term counts once, by the nearest of its senses.

  Args:
    queries: `[queries, dim]`.
    kernel: `[labels, dim]`.
    terms: int `[labels]`, the term that each label is a sense of.
    top_k: terms wanted for each query.
    left_out: terms that do not count, int `[...]` for each query.

  Returns:
    Terms in place of labels.
  """
  cosines = unit_rows(np.asarray(queries, np.float32)) @ unit_rows(kernel).T
  best = np.full((len(cosines), int(terms.max(initial=-1)) + 1), -np.inf)
  for row, values in enumerate(cosines):
    np.maximum.at(best[row], terms, values)
  for row, ids in enumerate(left_out or ()):
    best[row, ids] = -np.inf
  every = np.broadcast_to(np.arange(best.shape[1]), best.shape)
  labels, scores = _best(every, best, min(top_k, best.shape[1]))
  labels = np.where(np.isneginf(scores), -1, labels)
  return Nearest(labels, scores.astype(np.float32))


def _best(ids: Array, scores: Array, count: int) -> tuple[Array, Array]:
  """The `count` best of each row in order: ids and scores."""
  if count < scores.shape[1]:
    kept = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    ids = np.take_along_axis(ids, kept, axis=1)
    scores = np.take_along_axis(scores, kept, axis=1)
  order = np.lexsort((ids, -scores), axis=1)
  return (
    np.take_along_axis(ids, order, axis=1),
    np.take_along_axis(scores, order, axis=1),
  )
