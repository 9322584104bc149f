"""Within-batch semi-hard negative mining (Huang et al. 2020, section 3.2)."""

from __future__ import annotations

import tensorflow as tf

from music_embed.objectives import distances


def mine(
  anchor: tf.Tensor,
  positive: tf.Tensor,
  negatives: tf.Tensor,
  allowed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
  """For each pair the closest negative that is further than the positive.

  Masks instead of filtering keep shapes static; nothing here carries a
  gradient.

  Args:
    anchor: [pairs, dim].
    positive: [pairs, dim].
    negatives: the global batch's negatives, [pool, dim].
    allowed: bool [pairs, pool], which negatives may serve a pair.

  Returns:
    Indices into the pool, int32 [pairs] (0 where there is none), and whether
    there was one, bool [pairs].
  """
  to_positive = distances.squared(anchor, positive)[:, tf.newaxis]
  to_negatives = distances.pairwise_squared(anchor, negatives)
  candidates = tf.logical_and(allowed, to_negatives > to_positive)
  masked = tf.where(candidates, to_negatives, to_negatives.dtype.max)
  found = tf.reduce_any(candidates, axis=1)
  return tf.argmin(masked, axis=1, output_type=tf.int32), found
