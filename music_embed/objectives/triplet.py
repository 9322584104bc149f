"""The triplet loss on co-listens (Huang et al. 2020, Eq. 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from music_embed.core import errors, keys
from music_embed.objectives import base, distances, replicas, semi_hard

_COLLAPSE_SHARE = 1e-3


def hinge(
  to_positive: tf.Tensor, to_negative: tf.Tensor, margin: float
) -> tf.Tensor:
  """Eq. 1 for each triplet: `max(0, d(a, p) - d(a, n) + margin)`, [n]."""
  return tf.nn.relu(to_positive - to_negative + margin)


class TripletObjective(base.Objective):
  """Eq. 1 over triplets, with negatives mined within the global batch."""

  name = "triplet"
  parts = ("backbone", "projection")

  def __init__(
    self,
    *,
    margin: float = 0.1,
    mining: str = "semi_hard",
    reduction: str = "sum",
  ) -> None:
    """Makes the objective.

    Args:
      margin: of squared l2 distances.
      mining: "semi_hard", or "none" to keep the given negatives.
      reduction: "sum" over the global batch's triplets (the paper's) or
        "mean".

    Raises:
      ConfigError: an unknown `mining` or `reduction`.
    """
    if mining not in ("semi_hard", "none"):
      raise errors.ConfigError(
        f"TripletObjective.mining={mining!r}: semi_hard or none"
      )
    if reduction not in ("sum", "mean"):
      raise errors.ConfigError(
        f"TripletObjective.reduction={reduction!r}: sum or mean"
      )
    self._margin = margin
    self._mining = mining
    self._reduction = reduction

  @property
  def metric_names(self) -> tuple[str, ...]:
    """See `Objective`."""
    return (
      "active",
      "violations",
      "mined",
      "positive_distance",
      "negative_distance",
      "spread",
      "collapsed",
    )

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
      model: an `Embedder`.
      batch: WINDOWS [triplets, 3, *window_shape] and NEGATIVE_ALLOWED bool
        [triplets, triplets of the global batch].
      training: whether the network trains on this batch.
      weight: not needed here.

    Returns:
      The loss, and the metrics of `from_embeddings`.
    """
    del weight
    windows = batch[keys.WINDOWS]
    triplets, _, *window_shape = windows.shape
    # One pass over all windows: batch norm sees the three roles together.
    windows = tf.reshape(windows, [-1, *window_shape])
    embedding = model.embed(windows, training=training)
    embedding = tf.reshape(
      embedding, [-1 if triplets is None else triplets, 3, embedding.shape[-1]]
    )
    return self.from_embeddings(embedding, batch[keys.NEGATIVE_ALLOWED])

  def from_embeddings(
    self, embedding: tf.Tensor, allowed: tf.Tensor
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The loss of embedded triplets.

    Args:
      embedding: anchor, positive and negative, [triplets, 3, dim].
      allowed: bool [triplets, triplets of the global batch].

    Returns:
      The loss, and means over the global batch: `active` (share of triplets
      with a loss), `violations` (share whose negative, as used, is nearer
      than the positive), `mined` (share that had a semi-hard negative in the
      pool), `positive_distance`, `negative_distance` (of the
      negatives used), `spread` (variance of the given negatives' embeddings,
      summed over dimensions: 0 when all are equal, near 1 for unit vectors
      that point everywhere) and `collapsed` (share of triplets whose loss
      sits at the margin: near one, all embeddings are equal).
    """
    embedding = distances.at_least_float32(embedding)
    anchor, positive, negative = tf.unstack(embedding, axis=1)
    mined = tf.zeros(tf.shape(anchor)[:1], tf.bool)
    pool = replicas.gather(negative)
    spread = tf.reduce_sum(tf.math.reduce_variance(pool, axis=0))
    if self._mining == "semi_hard":
      index, mined = semi_hard.mine(anchor, positive, pool, allowed)
      negative = tf.where(
        mined[:, tf.newaxis], tf.gather(pool, index), negative
      )
    to_positive = distances.squared(anchor, positive)
    to_negative = distances.squared(anchor, negative)
    losses = hinge(to_positive, to_negative, self._margin)
    size = tf.cast(tf.shape(losses)[0] * replicas.num_replicas(), losses.dtype)
    loss = tf.reduce_sum(losses)
    at_margin = tf.abs(losses - self._margin) < _COLLAPSE_SHARE * self._margin
    shares = {
      "active": losses > 0.0,
      "violations": to_negative < to_positive,
      "mined": mined,
      "positive_distance": to_positive,
      "negative_distance": to_negative,
      "collapsed": at_margin,
    }
    metrics = {
      name: tf.reduce_sum(tf.cast(value, losses.dtype)) / size
      for name, value in shares.items()
    }
    metrics["spread"] = tf.stop_gradient(spread) / replicas.num_replicas()
    return (loss / size if self._reduction == "mean" else loss), metrics
