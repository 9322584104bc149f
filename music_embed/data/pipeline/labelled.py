"""Batches of windows with the labels of their recordings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import batching, sampling
from music_embed.data.records import prepared

PADDING = -1
"""What fills the label ids of recordings with fewer labels than others."""


class LabelledSource:
  """Batches for the label objective, from training recordings with labels."""

  def __init__(
    self,
    *,
    batch_windows: int,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source.

    Args:
      batch_windows: windows of the global batch.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    if batch_windows < 1:
      raise errors.ConfigError("LabelledSource.batch_windows must be positive")
    self.batch_windows = batch_windows
    self._num_parallel_calls = num_parallel_calls
    self._prefetch_batches = prefetch_batches

  def batches(
    self, dataset: prepared.PreparedDataset, *, seed: int, first_step: int
  ) -> tf.data.Dataset:
    """Global batches from a step on.

    Args:
      dataset: the prepared dataset.
      seed: of the run.
      first_step: step of the first batch.

    Returns:
      Infinite; batch s is a function of (seed, s) alone: WINDOWS
      [windows, *window_shape] as stored, RECORDING int64 [windows],
      LABEL_IDS int32 [windows, max_labels] padded with -1. Static shapes.

    Raises:
      DataError: no training recording has labels.
    """
    train = dataset.split_range(types.SPLITS[0])
    indptr, indices = dataset.labels_csr
    labelled = train.start + np.flatnonzero(
      np.diff(indptr[train.start : train.stop + 1])
    )
    if not labelled.size:
      raise errors.DataError(
        f"{dataset.directory}: no training recording has any label"
      )
    window = dataset.window_shape
    size, max_labels = self.batch_windows, dataset.max_labels

    def batch(step: int) -> batching.Batch:
      draws = seeds.generator(seed, "labelled", step).random((2, size))
      recordings = labelled[(draws[0] * labelled.size).astype(np.int64)]
      starts = sampling.uniform_starts(
        dataset.num_rows[recordings], window[0], draws[1]
      )
      return {
        keys.WINDOWS: dataset.windows(recordings, starts),
        keys.RECORDING: recordings,
        keys.LABEL_IDS: padded_rows(indptr, indices, recordings, max_labels),
      }

    return batching.dataset_of_steps(
      batch,
      {
        keys.WINDOWS: tf.TensorSpec((size, *window), dataset.window_dtype),
        keys.RECORDING: tf.TensorSpec((size,), np.int64),
        keys.LABEL_IDS: tf.TensorSpec((size, max_labels), np.int32),
      },
      first_step=first_step,
      num_parallel_calls=self._num_parallel_calls,
      prefetch_batches=self._prefetch_batches,
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
