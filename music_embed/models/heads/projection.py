"""The embedding head: a dense layer, normalised inside the network."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


def full_dtype() -> str:
  """At least float32: the dtype of variables under the policy in force."""
  return tf_keras.mixed_precision.global_policy().variable_dtype


class Projection(tf_keras.layers.Layer):
  """Dense layer and l2 normalisation, in at least float32.

  Attributes:
    dim: width of the embedding.
    dense: the Keras layer.
  """

  def __init__(self, *, dim: int = 128, normalize: bool = True) -> None:
    """Makes the head.

    Args:
      dim: width of the embedding.
      normalize: whether the output has unit l2 norm; without it the paper
        saw the norm blow up.
    """
    super().__init__(name="projection", dtype=full_dtype())
    self.dim = dim
    self._normalize = normalize
    self.dense = tf_keras.layers.Dense(dim, dtype=full_dtype())

  def call(self, features: tf.Tensor) -> tf.Tensor:
    """[batch, features] -> [batch, dim], unit l2 norm unless turned off."""
    x = self.dense(features)
    return tf.math.l2_normalize(x, axis=-1) if self._normalize else x
