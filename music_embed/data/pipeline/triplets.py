"""Triplet batches: anchor, positive and graph-hard negative."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import batching, buffers, sampling, weighting
from music_embed.data.records import prepared


class TripletSource(batching.StepSource):
  """Batches for the triplet objective, from training recordings only."""

  def __init__(
    self,
    *,
    batch_triplets: int,
    random_negative_share: float = 0.0,
    anchor_weighting: weighting.Weighting | None = None,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source.

    Args:
      batch_triplets: triplets of the global batch; a third of its windows.
      random_negative_share: share of the negatives that are drawn from all
        recordings instead of the positive's neighbours.
      anchor_weighting: how often each recording is drawn as an anchor; None
        draws uniformly from those that have neighbours.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    super().__init__(
      num_parallel_calls=num_parallel_calls, prefetch_batches=prefetch_batches
    )
    if batch_triplets < 1:
      raise errors.ConfigError("TripletSource.batch_triplets must be positive")
    if not 0.0 <= random_negative_share <= 1.0:
      raise errors.ConfigError(
        "TripletSource.random_negative_share must lie in [0, 1]"
      )
    self.batch_triplets = batch_triplets
    self.random_negative_share = random_negative_share
    self._anchor_weighting = anchor_weighting

  def scaled(self, replicas: int) -> Self:
    """See `StepSource`."""
    source = copy.copy(self)
    source.batch_triplets *= replicas
    return source

  def describe(self) -> dict[str, Any]:
    """See `StepSource`."""
    weights = self._anchor_weighting
    return {
      "kind": "triplets",
      "batch_triplets": self.batch_triplets,
      "random_negative_share": self.random_negative_share,
      "anchor_weighting": weights.describe() if weights is not None else None,
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
      Batches of WINDOWS [triplets, 3, *window_shape] as stored, RECORDING
      int64 [triplets, 3], and NEGATIVE_ALLOWED bool [triplets, triplets of
      the global batch].
    """
    own = worker.rows(self.batch_triplets)
    train = dataset.split_range(types.SPLITS[0])
    weights = self._anchor_weighting
    sampler = sampling.TripletSampler(
      dataset.graph(types.SPLITS[0]),
      train,
      batch_triplets=self.batch_triplets,
      random_negative_share=self.random_negative_share,
      seed=seed,
      anchor_weights=weights(dataset, train) if weights is not None else None,
    )
    window, dtype = dataset.window_shape, dataset.window_dtype
    pool = buffers.BufferPool()
    shape = (own.stop - own.start, 3)

    def batch(step: int) -> batching.Batch:
      triplets = sampler.triplets(step)
      draws = seeds.generator(seed, "triplet windows", step).random(
        triplets.size
      )
      recordings = triplets[own].ravel()
      starts = sampling.uniform_starts(
        dataset.num_rows[recordings],
        window[0],
        draws.reshape(triplets.shape)[own].ravel(),
      )
      windows = pool.empty((*shape, *window), dtype)
      dataset.windows(recordings, starts, windows.reshape(-1, *window))
      return {
        keys.WINDOWS: windows,
        keys.RECORDING: triplets[own],
        keys.NEGATIVE_ALLOWED: sampler.negative_allowed(triplets, own),
      }

    allowed = (shape[0], self.batch_triplets)
    return batching.Steps(
      batch,
      {
        keys.WINDOWS: batching.ArraySpec((*shape, *window), dtype),
        keys.RECORDING: batching.ArraySpec(shape, np.dtype(np.int64)),
        keys.NEGATIVE_ALLOWED: batching.ArraySpec(allowed, np.dtype(np.bool_)),
      },
    )
