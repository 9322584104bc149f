"""What every trained network stands beside: chance, plain audio, the bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from music_embed.core import errors, seeds
from music_embed.evaluation import link_prediction, ridge
from music_embed.evaluation.arrays import Array
from music_embed.evaluation.systems import Parts, z_scored


def random_embeddings(sizes: Parts, *, dim: int = 128, seed: int = 0) -> Parts:
  """Gaussian vectors that know nothing.

  Args:
    sizes: for each part an array with as many rows as vectors are wanted.
    dim: size of a vector.
    seed: of the draw.

  Returns:
    float32 `[recordings, dim]` for each part.
  """
  random = seeds.generator(seed, "evaluation/random")
  return sizes.map(
    lambda rows: random.standard_normal((len(rows), dim)).astype(np.float32)
  )


def audio_statistics(
  recordings: Parts, statistics: Callable[[int], Array]
) -> Parts:
  """Means and deviations of MFCCs and log-mels, standardised.

  Args:
    recordings: int64 indices for each part.
    statistics: from a recording's index to float32 `[features]`.

  Returns:
    float32 `[recordings, features]` for each part: mean 0 and deviation 1
    over the training part.
  """

  def gather(indices: Iterable[int]) -> Array:
    return np.stack([statistics(int(index)) for index in indices])

  return z_scored(recordings.map(gather))


def ridge_to_factors(
  features: Parts,
  train_factors: Array,
  validation_edges: Array,
) -> tuple[Parts, float]:
  """Predicts collaborative vectors from audio: supervised, no network.

  Args:
    features: float32 `[recordings, features]`, standardised.
    train_factors: `[train_recordings, factors]`, of the *training* graph;
      rows of zeros (recordings without edges) are not fitted.
    validation_edges: int64 `[edges, 2]`, rows of the validation part; the
      penalty with the best link AP on them wins.

  Returns:
    float32 `[recordings, factors]` for each part, and the penalty.

  Raises:
    DataError: no training recording has collaborative vectors.
  """
  fitted = np.abs(train_factors).sum(axis=1) > 0
  if not fitted.any():
    raise errors.DataError(
      "the training graph has no edges: there is nothing to predict"
    )
  candidates = ridge.fit_path(features.train[fitted], train_factors[fitted])
  pool = link_prediction.graph_pairs(validation_edges, len(features.validation))
  index, chosen = ridge.best(
    candidates,
    lambda f: link_prediction.measure(pool, f(features.validation)).ap,
  )
  predicted = features.map(lambda x: chosen(x).astype(np.float32))
  return predicted, ridge.STRENGTHS[index]
