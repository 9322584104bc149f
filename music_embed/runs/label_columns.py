"""The outputs of a label head that score a dataset's own labels.

A head over senses (`records.sense_labels`) scores a label by all its senses
together: their posteriors are summed. Measured so, on labels that are not
split, heads over any senses compare with each other and with a plain one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from music_embed.data.records import prepared, sense_labels
from music_embed.evaluation import label_prediction

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class LabelColumns:
  """Which columns of a head are summed for which label.

  Attributes:
    columns: label ids of the head, int32 [columns].
    member_of: sparse 0/1 [columns, labels]; None: column i is label i's.
  """

  columns: Array
  member_of: scipy.sparse.csr_matrix | None = None

  def summed(self, scores: Array) -> Array:
    """Posteriors [recordings, columns] -> [recordings, labels]."""
    if self.member_of is None:
      return scores
    return np.asarray(scores @ self.member_of)


def columns_of(
  data: prepared.PreparedDataset, label_ids: npt.ArrayLike
) -> LabelColumns:
  """The columns of a head on a dataset's labels.

  Args:
    data: what the head was trained on, seen through senses or not.
    label_ids: indices in the plain vocabulary, int [labels].
  """
  label_ids = np.asarray(label_ids, np.int32)
  if not isinstance(data, sense_labels.RelabelledDataset):
    return LabelColumns(label_ids)
  labels = data.sense_labels
  position = np.full(len(labels.plain_vocabulary), -1)
  position[label_ids] = np.arange(len(label_ids))
  owner = position[labels.plain]
  columns = np.flatnonzero(owner >= 0)
  ones = np.ones(len(columns), np.float32)
  return LabelColumns(
    columns.astype(np.int32),
    scipy.sparse.csr_matrix(
      (ones, (np.arange(len(columns)), owner[columns])),
      (len(columns), len(label_ids)),
    ),
  )


def unsplit_targets(
  data: prepared.PreparedDataset, recordings: Array
) -> scipy.sparse.csr_matrix:
  """Recordings' labels in the plain vocabulary.

  Args:
    data: seen through senses or not.
    recordings: indices, int [recordings].

  Returns:
    CSR 0/1 float32 [recordings, labels of the plain vocabulary].
  """
  indptr, indices = data.labels_csr
  size = len(data.vocabulary)
  if isinstance(data, sense_labels.RelabelledDataset):
    indices = data.sense_labels.plain[indices]
    size = len(data.sense_labels.plain_vocabulary)
  targets = label_prediction.targets_of(indptr, indices, recordings, size)
  targets.sum_duplicates()
  targets.data[:] = 1.0
  return targets
