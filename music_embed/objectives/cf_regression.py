"""Regression to collaborative-filtering vectors, the rival of triplets.

Squared error to the vectors of a weighted matrix factorisation: van den Oord
et al. 2013, "Deep content-based music recommendation" (NeurIPS), section 3;
the row "CF regression" in Table 2 of Huang et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from music_embed.core import errors, keys
from music_embed.objectives import base, distances, replicas


class CfRegressionObjective(base.Objective):
  """Squared l2 distance from a window's predicted vector to its recording's."""

  name = "cf_regression"
  parts = ("backbone", "projection", "cf_head")

  def __init__(self, *, reduction: str = "mean") -> None:
    """Makes the objective.

    Args:
      reduction: "mean" over the global batch's windows, or "sum".

    Raises:
      ConfigError: an unknown `reduction`.
    """
    if reduction not in ("sum", "mean"):
      raise errors.ConfigError(
        f"CfRegressionObjective.reduction={reduction!r}: sum or mean"
      )
    self._reduction = reduction

  @property
  def metric_names(self) -> tuple[str, ...]:
    """See `Objective`."""
    return ("explained_variance", "cosine", "predicted_norm", "target_norm")

  def __call__(
    self,
    model: Any,
    batch: Mapping[str, tf.Tensor],
    *,
    training: bool,
    weight: float = 1.0,
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """See `Objective`.

    Args:
      model: an `Embedder` with a CF head.
      batch: WINDOWS [batch, *window_shape] and CF_VECTOR [batch,
        num_factors].
      training: whether the network trains on this batch.
      weight: not needed here.

    Returns:
      The loss and the metrics of `from_vectors`.
    """
    del weight
    embedding = model.embed(batch[keys.WINDOWS], training=training)
    return self.from_vectors(model.cf_head(embedding), batch[keys.CF_VECTOR])

  def from_vectors(
    self, predicted: tf.Tensor, target: tf.Tensor
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The loss of predicted vectors.

    Args:
      predicted: [batch, num_factors].
      target: [batch, num_factors], not all zero in any row.

    Returns:
      The loss, and over the global batch: `explained_variance` (one less the
      squared error over that of the batch's mean target), `cosine` (mean, of
      prediction and target), `predicted_norm` and `target_norm` (mean squared
      norms; a prediction is shorter than its target as far as it is unsure).
    """
    predicted = distances.at_least_float32(predicted)
    target = tf.cast(target, predicted.dtype)
    loss = tf.reduce_sum(distances.squared(predicted, target))
    num = replicas.num_replicas()
    size = tf.cast(tf.shape(target)[0] * num, loss.dtype)
    centre = tf.reduce_mean(replicas.gather(target), axis=0)
    variance = tf.reduce_sum(distances.squared(target, centre))
    unexplained = replicas.total(loss) / replicas.total(variance)
    cosine = tf.reduce_sum(
      tf.math.l2_normalize(predicted, axis=1)
      * tf.math.l2_normalize(target, axis=1)
    )
    metrics = {
      "explained_variance": (1.0 - unexplained) / num,
      "cosine": cosine / size,
      "predicted_norm": tf.reduce_sum(tf.square(predicted)) / size,
      "target_norm": tf.reduce_sum(tf.square(target)) / size,
    }
    return (loss / size if self._reduction == "mean" else loss), metrics
