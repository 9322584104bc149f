"""The label head: a linear layer whose rows are the labels' embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import initial_rows, projection


class LabelSoftmaxHead(tf_keras.layers.Layer):
  """Embeddings to label logits, in at least float32.

  The kernel is stored [num_labels, dim], one row a label, so that its rows
  are the labels' embeddings (the "columns of the softmax layer" of Huang et
  al. 2020, section 3.4).

  Attributes:
    num_labels: size of the vocabulary, None until it is set.
    use_bias: whether a label has a bias.
    gives_logits: whether calling the head gives logits [batch, num_labels].
    has_label_embeddings: whether its rows lie in the space of the embeddings.
    initial_bias: that of every label.
  """

  gives_logits = True
  has_label_embeddings = True
  initial_bias = 0.0

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
    self.use_bias = use_bias
    self._seed = 0

  def set_num_labels(self, num_labels: int, *, seed: int = 0) -> None:
    """Takes the dataset's vocabulary size, before the head is built.

    Args:
      num_labels: size of the vocabulary.
      seed: of the initial kernel.

    Raises:
      ConfigError: the head was made, or built, with another size.
    """
    if self.num_labels not in (None, num_labels):
      raise errors.ConfigError(
        f"the label head has {self.num_labels} labels, the dataset's"
        f" vocabulary {num_labels}"
      )
    self.num_labels = num_labels
    self._seed = seed

  def build(self, input_shape: tf.TensorShape) -> None:
    """Creates kernel [num_labels, dim] and bias [num_labels].

    Raises:
      ConfigError: the number of labels was never set.
    """
    self.kernel = self.add_weight(
      name="kernel",
      shape=(self.required_num_labels(), int(input_shape[-1])),
      initializer=self._initial_kernel,
    )
    self.bias = None
    if self.use_bias:
      self.bias = self.add_weight(
        name="bias",
        shape=(self.num_labels,),
        initializer=tf_keras.initializers.Constant(self.initial_bias),
      )
    super().build(input_shape)

  def required_num_labels(self) -> int:
    """The number of labels.

    Raises:
      ConfigError: it was never set.
    """
    if self.num_labels is None:
      raise errors.ConfigError(f"{type(self).__name__}: num_labels is not set")
    return self.num_labels

  def initial_kernel_rows(
    self, dim: int, start: int, stop: int
  ) -> npt.NDArray[Any]:
    """Rows of the kernel that this head starts from, [stop - start, dim]."""
    return initial_rows.glorot_uniform(
      self._seed,
      num_labels=self.required_num_labels(),
      dim=dim,
      start=start,
      stop=stop,
    )

  def call(self, embedding: tf.Tensor) -> tf.Tensor:
    """[batch, dim] -> logits [batch, num_labels]."""
    logits = tf.matmul(embedding, self.kernel, transpose_b=True)
    return logits if self.bias is None else logits + self.bias

  def posteriors(
    self, embedding: tf.Tensor, label_ids: Sequence[int] | npt.NDArray[Any]
  ) -> tf.Tensor:
    """Probabilities of some labels.

    Args:
      embedding: [batch, dim].
      label_ids: int [labels].

    Returns:
      [batch, labels], in at least float32.
    """
    posterior = self.probabilities(self(embedding))
    return tf.gather(posterior, np.asarray(label_ids, np.int32), axis=1)

  def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
    """What the logits of all labels mean, [batch, num_labels]: a softmax."""
    return tf.nn.softmax(logits)

  def label_embeddings(self) -> tf.Tensor:
    """Unit-norm embeddings of all labels, [num_labels, dim]."""
    return tf.math.l2_normalize(tf.convert_to_tensor(self.kernel), axis=-1)

  def unsharded(self) -> LabelSoftmaxHead:
    """The head that evaluation and export take: this one."""
    return self

  def _initial_kernel(
    self, shape: Sequence[int], dtype: Any = None, **kwargs: Any
  ) -> tf.Tensor:
    del kwargs
    num_labels, dim = shape
    return tf.constant(self.initial_kernel_rows(dim, 0, num_labels), dtype)
