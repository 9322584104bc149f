"""SmallCNN of Huang et al. 2020, section 3: three convolutions and pools."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import types
from music_embed.models import layers

_CHANNELS = (8, 16, 78)


class SmallCNN(tf_keras.layers.Layer):
  """[conv 7x5/2x1, max-pool 4x2/2x1] x 3 without padding, then flattened.

  With the 128-wide projection: 537.7 k parameters and 22.0 M multiplies per
  window of 300 x 64 (the paper: 537 k, 22 M), batch norm not counted.
  """

  input_kind = types.LogMelFrontEnd.kind

  def __init__(
    self, *, width_multiplier: float = 1.0, batch_norm_momentum: float = 0.99
  ) -> None:
    """Makes the network.

    Args:
      width_multiplier: factor on the channels of every layer.
      batch_norm_momentum: share of the moving moments kept each step; shorter
        runs need a smaller one.
    """
    super().__init__(name="small_cnn")
    self._blocks = [
      layers.ConvBlock(
        channels=layers.scaled(channels, width_multiplier),
        kernel=(7, 5),
        strides=(2, 1),
        padding="valid",
        momentum=batch_norm_momentum,
      )
      for channels in _CHANNELS
    ]

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, frames, bins] -> [batch, features]."""
    x = log_mel[..., tf.newaxis]
    for block in self._blocks:
      x = block(x, training=training)
      x = tf.nn.max_pool2d(x, (4, 2), (2, 1), "VALID")
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
