"""Batches of windows with the labels of their recordings."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import batching, buffers, sampling, weighting
from music_embed.data.records import prepared

PADDING = -1
"""What fills the label ids of recordings with fewer labels than others."""


class LabelledSource(batching.StepSource):
  """Batches for the label objective, from training recordings with labels."""

  def __init__(
    self,
    *,
    batch_windows: int,
    recording_weighting: weighting.Weighting | None = None,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source.

    Args:
      batch_windows: windows of the global batch.
      recording_weighting: how often each recording is drawn; None draws
        uniformly from those that have labels.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    super().__init__(
      num_parallel_calls=num_parallel_calls, prefetch_batches=prefetch_batches
    )
    if batch_windows < 1:
      raise errors.ConfigError("LabelledSource.batch_windows must be positive")
    self.batch_windows = batch_windows
    self._recording_weighting = recording_weighting

  def scaled(self, replicas: int) -> Self:
    """See `StepSource`."""
    source = copy.copy(self)
    source.batch_windows *= replicas
    return source

  def describe(self) -> dict[str, Any]:
    """See `StepSource`."""
    weights = self._recording_weighting
    return {
      "kind": "labelled",
      "batch_windows": self.batch_windows,
      "recording_weighting": (
        weights.describe() if weights is not None else None
      ),
    }

  def steps(
    self,
    dataset: prepared.PreparedDataset,
    *,
    seed: int,
    worker: types.Slice = batching.WHOLE,
  ) -> batching.Steps:
    """See `StepSource`.

    Returns:
      Batches of WINDOWS [windows, *window_shape] as stored, RECORDING int64
      [windows], and LABEL_IDS int32 [windows, max_labels] padded with -1.
    """
    size, max_labels = self.batch_windows, dataset.max_labels
    own = worker.rows(size)
    draw = self._draw(dataset)
    indptr, indices = (np.asarray(array) for array in dataset.labels_csr)
    window, dtype = dataset.window_shape, dataset.window_dtype
    rows = own.stop - own.start
    pool = buffers.BufferPool()

    def batch(step: int) -> batching.Batch:
      draws = seeds.generator(seed, "labelled", step).random((2, size))[:, own]
      recordings = draw(draws[0])
      starts = sampling.uniform_starts(
        dataset.num_rows[recordings], window[0], draws[1]
      )
      return {
        keys.WINDOWS: dataset.windows(
          recordings, starts, pool.empty((rows, *window), dtype)
        ),
        keys.RECORDING: recordings,
        keys.LABEL_IDS: padded_rows(indptr, indices, recordings, max_labels),
      }

    return batching.Steps(
      batch,
      {
        keys.WINDOWS: batching.ArraySpec((rows, *window), dtype),
        keys.RECORDING: batching.ArraySpec((rows,), np.dtype(np.int64)),
        keys.LABEL_IDS: batching.ArraySpec(
          (rows, max_labels), np.dtype(np.int32)
        ),
      },
    )

  def _draw(self, dataset: prepared.PreparedDataset) -> sampling.RecordingDraw:
    train = dataset.split_range(types.SPLITS[0])
    ends = np.asarray(dataset.labels_csr[0][train.start : train.stop + 1])
    labelled = np.flatnonzero(np.diff(ends))
    if not labelled.size:
      raise errors.DataError(
        f"{dataset.directory}: no training recording has any label"
      )
    weights = self._recording_weighting
    return sampling.RecordingDraw(
      (train.start + labelled).astype(np.int32),
      weights(dataset, train)[labelled] if weights is not None else None,
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
