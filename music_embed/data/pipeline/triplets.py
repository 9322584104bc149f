"""Triplet batches: anchor, positive and graph-hard negative."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import batching, sampling
from music_embed.data.records import prepared


class TripletSource:
  """Batches for the triplet objective, from training recordings only."""

  def __init__(
    self,
    *,
    batch_triplets: int,
    random_negative_share: float = 0.0,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source.

    Args:
      batch_triplets: triplets of the global batch; a third of its windows.
      random_negative_share: share of the negatives that are drawn from all
        recordings instead of the positive's neighbours.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    if batch_triplets < 1:
      raise errors.ConfigError("TripletSource.batch_triplets must be positive")
    if not 0.0 <= random_negative_share <= 1.0:
      raise errors.ConfigError(
        "TripletSource.random_negative_share must lie in [0, 1]"
      )
    self.batch_triplets = batch_triplets
    self.random_negative_share = random_negative_share
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
      [triplets, 3, *window_shape] as stored, RECORDING int64 [triplets, 3],
      NEGATIVE_ALLOWED bool [triplets, triplets]. Static shapes.

    Raises:
      DataError: the training graph allows no triplet.
    """
    train = types.SPLITS[0]
    sampler = sampling.TripletSampler(
      dataset.graph(train),
      dataset.split_range(train),
      batch_triplets=self.batch_triplets,
      random_negative_share=self.random_negative_share,
      seed=seed,
    )
    window = dataset.window_shape
    shape = (self.batch_triplets, 3)

    def batch(step: int) -> batching.Batch:
      triplets = sampler.triplets(step)
      recordings = triplets.ravel()
      draws = seeds.generator(seed, "triplet windows", step).random(
        recordings.size
      )
      starts = sampling.uniform_starts(
        dataset.num_rows[recordings], window[0], draws
      )
      windows = dataset.windows(recordings, starts)
      return {
        keys.WINDOWS: windows.reshape(*shape, *window),
        keys.RECORDING: triplets,
        keys.NEGATIVE_ALLOWED: sampler.negative_allowed(triplets),
      }

    return batching.dataset_of_steps(
      batch,
      {
        keys.WINDOWS: tf.TensorSpec((*shape, *window), dataset.window_dtype),
        keys.RECORDING: tf.TensorSpec(shape, np.int64),
        keys.NEGATIVE_ALLOWED: tf.TensorSpec((shape[0], shape[0]), np.bool_),
      },
      first_step=first_step,
      num_parallel_calls=self._num_parallel_calls,
      prefetch_batches=self._prefetch_batches,
    )
