"""The CF head: a linear layer from embeddings to factorisation vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import projection


class CfRegressionHead(tf_keras.layers.Layer):
  """Embeddings to collaborative-filtering vectors, in at least float32.

  It is linear, so that a recording's predicted vector, the mean over its
  windows, is that of its mean embedding.

  Attributes:
    num_factors: width of the vectors, None until it is set.
  """

  def __init__(self, *, num_factors: int | None = None) -> None:
    """Makes the head.

    Args:
      num_factors: width of the vectors; None until `set_num_factors`.
    """
    super().__init__(name="cf_head", dtype=projection.full_dtype())
    self.num_factors = num_factors

  def set_num_factors(self, num_factors: int) -> None:
    """Takes the width of the factors, before the head is built.

    Args:
      num_factors: of the vectors that are predicted.

    Raises:
      ConfigError: the head was made, or built, with another width.
    """
    if self.num_factors not in (None, num_factors):
      raise errors.ConfigError(
        f"CfRegressionHead.num_factors is {self.num_factors}, but the factors"
        f" have {num_factors} dimensions: set NUM_FACTORS to that, or None to"
        " take it from the factors"
      )
    self.num_factors = num_factors

  def build(self, input_shape: tf.TensorShape) -> None:
    """Creates kernel [dim, num_factors] and bias [num_factors].

    Raises:
      ConfigError: the width was never set.
    """
    if self.num_factors is None:
      raise errors.ConfigError("CfRegressionHead.num_factors is not set")
    self.kernel = self.add_weight(
      name="kernel", shape=(int(input_shape[-1]), self.num_factors)
    )
    self.bias = self.add_weight(
      name="bias", shape=(self.num_factors,), initializer="zeros"
    )
    super().build(input_shape)

  def call(self, embedding: tf.Tensor) -> tf.Tensor:
    """[..., dim] -> [..., num_factors]."""
    return tf.tensordot(embedding, self.kernel, axes=1) + self.bias

  def vectors(self, embeddings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Predicted vectors, outside of TensorFlow.

    Args:
      embeddings: of windows, or means over them, [recordings, dim].

    Returns:
      float32 [recordings, num_factors].
    """
    kernel, bias = self.kernel.numpy(), self.bias.numpy()
    return np.asarray(embeddings @ kernel + bias, np.float32)
