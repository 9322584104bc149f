import tensorflow as tf
import tf_keras

from music_embed.models import counting, embedder, layers
from music_embed.models.heads import projection


class _TwoLayers(tf_keras.layers.Layer):
  def __init__(self) -> None:
    super().__init__()
    self._conv = layers.ConvBlock(
      channels=4, kernel=(3, 2), strides=(2, 1), padding="valid"
    )
    self._separable = layers.DepthwiseBlock(channels=5, strides=(1, 1))

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    x = self._conv(log_mel[..., tf.newaxis], training=training)
    x = self._separable(x, training=training)
    return tf.reshape(x, [-1, 4 * 5 * 5])


def test_counts_are_those_worked_out_by_hand() -> None:
  model = embedder.Embedder(
    backbone=_TwoLayers(), projection=projection.Projection(dim=7)
  )
  conv, depthwise, pointwise, dense = counting.count(model, frames=9, bins=6)
  # 9x6 -> (9-3)//2+1 = 4 by 6-2+1 = 5 positions, 3*2*1*4 = 24 weights.
  assert conv.output_shape == (4, 5, 4)
  assert (conv.parameters, conv.multiplies) == (24, 24 * 20)
  # 3*3 weights for each of 4 channels.
  assert (depthwise.parameters, depthwise.multiplies) == (36, 36 * 20)
  assert (pointwise.parameters, pointwise.multiplies) == (20, 20 * 20)
  # 100 inputs to 7 outputs, and 7 biases, which multiply nothing.
  assert (dense.parameters, dense.multiplies) == (707, 700)
  assert counting.total([conv, dense]) == (731, 1180)
