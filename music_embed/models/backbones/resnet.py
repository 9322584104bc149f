"""ResNet-18 (He et al. 2016) as counted in Huang et al. 2020, section 3."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import types
from music_embed.models import layers

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""(channels, stride of the first block) of the four stages of two blocks."""


class BasicBlock(tf_keras.layers.Layer):
  """Two 3x3 convolutions beside a shortcut: identity, or 1x1 where it must."""

  def __init__(
    self, *, channels: int, stride: int, project: bool, momentum: float
  ) -> None:
    """`project` puts a 1x1 convolution into the shortcut."""
    super().__init__()
    strides = (stride, stride)
    self._first = layers.ConvBlock(
      channels=channels, kernel=(3, 3), strides=strides, momentum=momentum
    )
    self._second = layers.ConvBlock(
      channels=channels, kernel=(3, 3), momentum=momentum, relu=False
    )
    self._shortcut = None
    if project:
      self._shortcut = layers.ConvBlock(
        channels=channels,
        kernel=(1, 1),
        strides=strides,
        momentum=momentum,
        relu=False,
      )

  def call(self, x: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, time, frequency, in] -> [batch, time', frequency', channels]."""
    shortcut = x
    if self._shortcut is not None:
      shortcut = self._shortcut(x, training=training)
    y = self._second(self._first(x, training=training), training=training)
    return tf.nn.relu(y + shortcut)


class ResNet18(tf_keras.layers.Layer):
  """ResNet-18 whose stem strides more over time, averaged at the end.

  conv1 is 7x5 with stride 2x1, its max-pool 5x3 with stride 4x2 and no
  padding. With the 128-wide projection: 11.225 M parameters and 685.6 M
  multiplies per window of 300 x 64 (the paper: 11.2 M, 686 M), batch norm not
  counted.
  """

  input_kind = types.LogMelFrontEnd.kind

  def __init__(
    self, *, width_multiplier: float = 1.0, batch_norm_momentum: float = 0.99
  ) -> None:
    """Makes the network.

    Args:
      width_multiplier: factor on the channels of every layer.
      batch_norm_momentum: share of the moving moments kept each step.
    """
    super().__init__(name="resnet18")
    width = layers.scaled(_STAGES[0][0], width_multiplier)
    self._stem = layers.ConvBlock(
      channels=width,
      kernel=(7, 5),
      strides=(2, 1),
      momentum=batch_norm_momentum,
    )
    self._blocks = []
    for channels, stride in _STAGES:
      width = layers.scaled(channels, width_multiplier)
      for first in (True, False):
        self._blocks.append(
          BasicBlock(
            channels=width,
            stride=stride if first else 1,
            project=first and stride > 1,
            momentum=batch_norm_momentum,
          )
        )

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, frames, bins] -> [batch, features]."""
    x = self._stem(log_mel[..., tf.newaxis], training=training)
    x = tf.nn.max_pool2d(x, (5, 3), (4, 2), "VALID")
    for block in self._blocks:
      x = block(x, training=training)
    # A mean of bfloat16 would be summed in bfloat16.
    return tf.reduce_mean(tf.cast(x, self.variable_dtype), axis=[1, 2])
