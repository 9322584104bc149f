"""Which labels colour the map: few, and such as tell where things lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse

OTHER = "other"
"""Name of the last class: of recordings that have none of the labels."""

VERSION = 1
"""Of the choice: legends of another version are made again."""

_MOST_LABELS = 9
_LEAST_SHARE = 0.005


@dataclasses.dataclass(frozen=True)
class Legend:
  """Classes of recordings.

  Attributes:
    labels: their names by falling size, `OTHER` last; at most ten.
    classes: uint8 [size], of each recording its position in `labels`.
  """

  labels: tuple[str, ...]
  classes: npt.NDArray[np.uint8]

  @property
  def counts(self) -> list[int]:
    """Recordings of each class."""
    counts = np.bincount(self.classes, minlength=len(self.labels))
    return [int(count) for count in counts]


def telling(
  labels: Iterable[Sequence[tuple[str, float]]],
  vectors: npt.NDArray[np.float32],
) -> Legend:
  """Picks up to nine labels and gives each recording one of them, or none.

  A label tells as much as the mean of its recordings' vectors lies off the
  mean of all (squared, less what chance makes of so few): nothing, if it is
  everywhere alike. One after the other those are chosen that tell most, times
  the recordings that have none of those before. Where a recording has several
  of them, its class is the one that it has most of.

  Args:
    labels: of each recording, those that are listed with it and their scores.
    vectors: float32 [size, dim].

  Returns:
    The classes, `OTHER` among them, even where nobody is in it.
  """
  size = len(vectors)
  names, rows, columns, scores = _flat(labels)
  table = scipy.sparse.csr_matrix(
    (np.asarray(scores, np.float32), (columns, rows)), shape=(len(names), size)
  )
  picked = _picked(table, vectors)
  best = np.zeros(size, np.float32)
  position = np.full(size, len(picked), np.int64)
  for place, label in enumerate(picked):
    own = table[label]
    better = own.data > best[own.indices]
    position[own.indices[better]] = place
    best[own.indices[better]] = own.data[better]
  counts = np.bincount(position, minlength=len(picked) + 1)[:-1]
  order = [
    place for place in np.argsort(-counts, kind="stable") if counts[place]
  ]
  ranks = np.full(len(picked) + 1, len(order), np.uint8)
  ranks[order] = np.arange(len(order))
  chosen = (names[picked[place]] for place in order)
  return Legend((*chosen, OTHER), ranks[position])


def _picked(
  table: scipy.sparse.csr_matrix, vectors: npt.NDArray[np.float32]
) -> list[int]:
  """Rows of the table, in the order in which they were chosen."""
  size = len(vectors)
  least = max(2, int(np.ceil(size * _LEAST_SHARE)))
  frequent = np.flatnonzero(np.diff(table.indptr) >= least)
  members = table[frequent]
  members.data = np.ones_like(members.data)
  tells = _tells(members, vectors)
  picked: list[int] = []
  left = np.ones(size, np.float32)
  while len(picked) < _MOST_LABELS and len(frequent):
    new = members @ left
    gains = np.where(new >= least, new * tells, 0)
    best = int(np.argmax(gains))
    if gains[best] <= 0:
      break
    picked.append(int(frequent[best]))
    left[members[best].indices] = 0
  return picked


def _tells(
  members: scipy.sparse.csr_matrix, vectors: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
  """Squared distance of labels' means from the mean of all, less chance's."""
  mean = np.mean(vectors, axis=0, dtype=np.float64)
  squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
  variance = squares.mean() - mean @ mean
  counts = np.maximum(np.diff(members.indptr), 1)
  off = (members @ vectors) / counts[:, None] - mean
  tells: npt.NDArray[np.float64]
  tells = np.einsum("ld,ld->l", off, off) - variance / counts
  return tells


def _flat(
  labels: Iterable[Sequence[tuple[str, float]]],
) -> tuple[list[str], list[int], list[int], list[float]]:
  """Names of labels; of each entry its recording, its name's id, its score."""
  ids: dict[str, int] = {}
  rows: list[int] = []
  columns: list[int] = []
  scores: list[float] = []
  for row, listed in enumerate(labels):
    for name, score in dict(listed).items():
      rows.append(row)
      columns.append(ids.setdefault(name, len(ids)))
      # A score of 0 would be no entry of a sparse table.
      scores.append(max(float(score), 1e-9))
  return list(ids), rows, columns, scores
