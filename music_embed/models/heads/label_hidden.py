"""A label head with a hidden layer: one that no linear head can replace."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import label_logistic, projection


class LabelHiddenHead(label_logistic.LabelLogisticHead):
  """A logistic for each label over a hidden layer of rectified units.

  The second column of Huang et al. 2020, Table 4 ("hidden layer of 512").
  Its rows are no embeddings of labels: they lie in the hidden layer's space.

  Attributes:
    units: of the hidden layer.
  """

  has_label_embeddings = False

  def __init__(
    self,
    *,
    units: int = 512,
    num_labels: int | None = None,
    use_bias: bool = True,
    prior: float = 0.01,
  ) -> None:
    """Makes the head.

    Args:
      units: of the hidden layer.
      num_labels: size of the vocabulary; None until `set_num_labels`.
      use_bias: whether a label has a bias.
      prior: probability that every label starts with.

    Raises:
      ConfigError: `prior` is no probability, or there is no unit.
    """
    super().__init__(num_labels=num_labels, use_bias=use_bias, prior=prior)
    if units < 1:
      raise errors.ConfigError("LabelHiddenHead.units must be at least 1")
    self.units = units

  def build(self, input_shape: tf.TensorShape) -> None:
    """Creates the hidden layer [dim, units] and what `label_softmax` does.

    Raises:
      ConfigError: the number of labels was never set.
    """
    self.hidden = tf_keras.layers.Dense(
      self.units,
      activation="relu",
      kernel_initializer=tf_keras.initializers.GlorotUniform(self._seed),
      dtype=projection.full_dtype(),
      name="hidden",
    )
    self.hidden.build(input_shape)
    super().build(tf.TensorShape([None, self.units]))

  def call(self, embedding: tf.Tensor) -> tf.Tensor:
    """[batch, dim] -> logits [batch, num_labels]."""
    return super().call(self.hidden(embedding))
