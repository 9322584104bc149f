"""Batches of windows with the labels of their recordings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, keys, types
from music_embed.data.pipeline import recording_windows
from music_embed.data.records import prepared

PADDING = -1
"""What fills the label ids of recordings with fewer labels than others."""


class LabelledSource(recording_windows.RecordingWindowSource):
  """Batches for the label objective, from training recordings with labels.

  Targets are LABEL_IDS int32 [windows, max_labels], padded with -1.
  """

  kind = "labelled"

  def _targets(
    self, dataset: prepared.PreparedDataset
  ) -> tuple[npt.NDArray[np.int64], recording_windows.Targets]:
    indptr, indices = (np.asarray(array) for array in dataset.labels_csr)
    train = dataset.split_range(types.SPLITS[0])
    labelled = np.flatnonzero(np.diff(indptr[train.start : train.stop + 1]))
    if not labelled.size:
      raise errors.DataError(
        f"{dataset.directory}: no training recording has any label"
      )
    width = dataset.max_labels
    return train.start + labelled, recording_windows.Targets(
      keys.LABEL_IDS,
      (width,),
      np.dtype(np.int32),
      lambda recordings: padded_rows(indptr, indices, recordings, width),
    )


def padded_rows(
  indptr: npt.NDArray[np.int64],
  indices: npt.NDArray[np.int32],
  rows: npt.NDArray[np.int64],
  width: int,
) -> npt.NDArray[np.int32]:
  """Rows of a CSR as a rectangle.

  Args:
    indptr: int64 [rows + 1].
    indices: int32 [entries].
    rows: which rows, [n].
    width: of the rectangle, no less than the longest row.

  Returns:
    int32 [n, width], padded with -1 at the end.
  """
  places = indptr[rows][:, None] + np.arange(width)
  inside = places < indptr[rows + 1][:, None]
  found = indices[np.minimum(places, max(len(indices) - 1, 0))]
  return np.where(inside, found, np.int32(PADDING))
