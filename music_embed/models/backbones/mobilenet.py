"""MobileNet v1, narrow, as counted in Huang et al. 2020, section 3."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import types
from music_embed.models import layers

_WIDTH = 0.33
_BLOCKS = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  (512, 1),
  (512, 1),
  (512, 1),
  (512, 1),
  (512, 1),
  (512, 2),
  (512, 1),
)
"""(channels before the width of .33, stride) of the separable layers."""
_POOL_AFTER = 2
"""Separable layers before the extra pool: with the first convolution, it
stands after the third convolution layer."""


class MobileNet(tf_keras.layers.Layer):
  """MobileNet v1 of width .33 (Howard et al. 2017), flattened at the end.

  The first convolution strides over time only, a 4x2/2x1 max-pool follows the
  third convolution layer, and the last two layers are 512 wide before scaling
  (1024 in the original). With the 128-wide projection: 669.0 k parameters and
  26.35 M multiplies per window of 300 x 64 (the paper: 670 k, 26.1 M), batch
  norm not counted.
  """

  input_kind = types.LogMelFrontEnd.kind

  def __init__(
    self, *, width_multiplier: float = 1.0, batch_norm_momentum: float = 0.99
  ) -> None:
    """Makes the network.

    Args:
      width_multiplier: factor on the channels, on top of the width of .33.
      batch_norm_momentum: share of the moving moments kept each step.
    """
    super().__init__(name="mobilenet")

    def scaled(channels: int) -> int:
      return layers.scaled(channels, _WIDTH * width_multiplier, multiple=4)

    self._stem = layers.ConvBlock(
      channels=scaled(32),
      kernel=(3, 3),
      strides=(2, 1),
      momentum=batch_norm_momentum,
    )
    self._blocks = [
      layers.DepthwiseBlock(
        channels=scaled(channels),
        strides=(stride, stride),
        momentum=batch_norm_momentum,
      )
      for channels, stride in _BLOCKS
    ]

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, frames, bins] -> [batch, features]."""
    x = self._stem(log_mel[..., tf.newaxis], training=training)
    for index, block in enumerate(self._blocks):
      if index == _POOL_AFTER:
        x = tf.nn.max_pool2d(x, (4, 2), (2, 1), "VALID")
      x = block(x, training=training)
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
