"""Convolution with batch norm: the brick of every backbone."""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras

from music_embed.models import batch_norm

CONV_INITIALIZER = "he_normal"


class ConvBlock(tf_keras.layers.Layer):
  """Convolution without bias, batch norm over all replicas, ReLU.

  Attributes:
    convolution: the Keras layer.
  """

  def __init__(
    self,
    *,
    channels: int,
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str = "same",
    momentum: float = 0.99,
    relu: bool = True,
  ) -> None:
    """Sizes are (time, frequency); `padding` is "same" or "valid"."""
    super().__init__()
    self.convolution = tf_keras.layers.Conv2D(
      channels,
      kernel,
      strides,
      padding,
      use_bias=False,
      kernel_initializer=CONV_INITIALIZER,
    )
    self._norm = batch_norm.BatchNorm(momentum=momentum)
    self._relu = relu

  def call(self, x: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, time, frequency, in] -> [batch, time', frequency', channels]."""
    x = self._norm(self.convolution(x), training=training)
    return tf.nn.relu(x) if self._relu else x


class DepthwiseBlock(tf_keras.layers.Layer):
  """Depthwise 3x3 and pointwise 1x1 convolution, each with norm and ReLU.

  The depthwise separable layer of MobileNet v1 (Howard et al. 2017).
  """

  def __init__(
    self, *, channels: int, strides: tuple[int, int], momentum: float = 0.99
  ) -> None:
    """`strides` (time, frequency) are those of the depthwise part."""
    super().__init__()
    self.depthwise = tf_keras.layers.DepthwiseConv2D(
      (3, 3),
      strides,
      "same",
      use_bias=False,
      # Keras counts a depthwise kernel's fan-in over all channels, which
      # would make an untrained network's output vanish: He's by hand.
      depthwise_initializer=tf_keras.initializers.RandomNormal(
        stddev=math.sqrt(2.0 / 9.0)
      ),
    )
    self._norm = batch_norm.BatchNorm(momentum=momentum)
    self._pointwise = ConvBlock(
      channels=channels, kernel=(1, 1), momentum=momentum
    )

  def call(self, x: tf.Tensor, *, training: bool) -> tf.Tensor:
    """[batch, time, frequency, in] -> [batch, time', frequency', channels]."""
    x = tf.nn.relu(self._norm(self.depthwise(x), training=training))
    return self._pointwise(x, training=training)


def scaled(channels: float, multiplier: float, *, multiple: int = 1) -> int:
  """`channels * multiplier` rounded to a multiple, and at least one of it."""
  rounded = int(channels * multiplier / multiple + 0.5) * multiple
  return max(multiple, rounded)
