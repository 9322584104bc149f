"""The label head: a linear layer whose rows are the labels' embeddings."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import projection


class LabelSoftmaxHead(tf_keras.layers.Layer):
  """Embeddings to label logits, in at least float32.

  The kernel is stored [num_labels, dim], one row a label, so that its rows
  are the labels' embeddings (the "columns of the softmax layer" of Huang et
  al. 2020, section 3.4).
  """

  def __init__(
    self, *, num_labels: int | None = None, use_bias: bool = True
  ) -> None:
    """Makes the head.

    Args:
      num_labels: size of the vocabulary; None until `set_num_labels`.
      use_bias: whether a label has a bias (its log frequency, mostly).
    """
    super().__init__(name="label_head", dtype=projection.full_dtype())
    self.num_labels = num_labels
    self._use_bias = use_bias

  def set_num_labels(self, num_labels: int) -> None:
    """Takes the dataset's vocabulary size, before the head is built.

    Raises:
      ConfigError: the head was made, or built, with another size.
    """
    if self.num_labels not in (None, num_labels):
      raise errors.ConfigError(
        f"the label head has {self.num_labels} labels, the dataset's"
        f" vocabulary {num_labels}"
      )
    self.num_labels = num_labels

  def build(self, input_shape: tf.TensorShape) -> None:
    """Creates kernel [num_labels, dim] and bias [num_labels].

    Raises:
      ConfigError: the number of labels was never set.
    """
    if self.num_labels is None:
      raise errors.ConfigError("LabelSoftmaxHead: num_labels is not set")
    self.kernel = self.add_weight(
      name="kernel",
      shape=(self.num_labels, int(input_shape[-1])),
      initializer="glorot_uniform",
    )
    self.bias = None
    if self._use_bias:
      self.bias = self.add_weight(
        name="bias", shape=(self.num_labels,), initializer="zeros"
      )
    super().build(input_shape)

  def call(self, embedding: tf.Tensor) -> tf.Tensor:
    """[batch, dim] -> logits [batch, num_labels]."""
    logits = tf.matmul(embedding, self.kernel, transpose_b=True)
    return logits if self.bias is None else logits + self.bias

  def label_embeddings(self) -> tf.Tensor:
    """Unit-norm embeddings of all labels, [num_labels, dim]."""
    return tf.math.l2_normalize(tf.convert_to_tensor(self.kernel), axis=-1)
