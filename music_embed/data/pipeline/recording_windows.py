"""Batches of windows of single recordings, each with a target of its own."""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import batching, buffers, sampling, weighting
from music_embed.data.records import prepared


@dataclasses.dataclass(frozen=True)
class Targets:
  """What goes with the windows of a recording.

  Attributes:
    key: name of the array, of `core.keys`.
    shape: of one row.
    dtype: of the array.
    rows: recordings int64 [n] -> [n, *shape].
  """

  key: str
  shape: tuple[int, ...]
  dtype: np.dtype[Any]
  rows: Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]


class RecordingWindowSource(batching.StepSource):
  """Draws training recordings that have a target, and a window of each.

  Attributes:
    kind: name of the source in `describe`, and of its random stream.
    batch_windows: windows of the global batch.
  """

  kind: ClassVar[str]

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
        uniformly from those that have a target.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    super().__init__(
      num_parallel_calls=num_parallel_calls, prefetch_batches=prefetch_batches
    )
    if batch_windows < 1:
      raise errors.ConfigError(
        f"{type(self).__name__}.batch_windows must be positive"
      )
    self.batch_windows = batch_windows
    self._recording_weighting = recording_weighting

  @abc.abstractmethod
  def _targets(
    self, dataset: prepared.PreparedDataset
  ) -> tuple[npt.NDArray[np.int64], Targets]:
    """Training recordings that have a target, [n], at least one; and it.

    Raises:
      DataError: no training recording has any.
    """

  def scaled(self, replicas: int) -> Self:
    """See `StepSource`."""
    source = copy.copy(self)
    source.batch_windows *= replicas
    return source

  def describe(self) -> dict[str, Any]:
    """See `StepSource`."""
    weights = self._recording_weighting
    return {
      "kind": self.kind,
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
      [windows], and the targets [windows, ...].
    """
    size = self.batch_windows
    own = worker.rows(size)
    recordings_with, targets = self._targets(dataset)
    draw = self._draw(dataset, recordings_with)
    window, dtype = dataset.window_shape, dataset.window_dtype
    rows = own.stop - own.start
    pool = buffers.BufferPool()

    def batch(step: int) -> batching.Batch:
      draws = seeds.generator(seed, self.kind, step).random((2, size))[:, own]
      recordings = draw(draws[0])
      starts = sampling.uniform_starts(
        dataset.num_rows[recordings], window[0], draws[1]
      )
      return {
        keys.WINDOWS: dataset.windows(
          recordings, starts, pool.empty((rows, *window), dtype)
        ),
        keys.RECORDING: recordings,
        targets.key: targets.rows(recordings),
      }

    return batching.Steps(
      batch,
      {
        keys.WINDOWS: batching.ArraySpec((rows, *window), dtype),
        keys.RECORDING: batching.ArraySpec((rows,), np.dtype(np.int64)),
        targets.key: batching.ArraySpec((rows, *targets.shape), targets.dtype),
      },
    )

  def _draw(
    self,
    dataset: prepared.PreparedDataset,
    recordings: npt.NDArray[np.int64],
  ) -> sampling.RecordingDraw:
    train = dataset.split_range(types.SPLITS[0])
    weights = self._recording_weighting
    return sampling.RecordingDraw(
      recordings.astype(np.int32),
      weights(dataset, train)[recordings - train.start]
      if weights is not None
      else None,
    )
