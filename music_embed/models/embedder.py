"""The network: windows to embeddings, label logits and CF vectors."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from music_embed.core import keys
from music_embed.models.heads import cf_regression, label_softmax, projection


class Embedder(tf_keras.Model):
  """Backbone, embedding head and, optionally, heads on the embedding.

  Attributes:
    backbone: [batch, rows, *row_shape] -> [batch, features].
    projection: [batch, features] -> [batch, dim].
    label_head: [batch, dim] -> [batch, num_labels], or None. A sharded one
      gives no logits: its own objective reads its rows.
    cf_head: [batch, dim] -> [batch, num_factors], or None.
  """

  def __init__(
    self,
    *,
    backbone: tf_keras.layers.Layer,
    projection: projection.Projection,
    label_head: label_softmax.LabelSoftmaxHead | None = None,
    cf_head: cf_regression.CfRegressionHead | None = None,
  ) -> None:
    """Makes the network; its parts are built at the first call."""
    super().__init__(name="embedder")
    self.backbone = backbone
    self.projection = projection
    self.label_head = label_head
    self.cf_head = cf_head

  def _init_batch_counters(self) -> None:
    """Makes none of Keras's variables for `fit`, which nothing here calls.

    Gin makes networks before the strategy, and a strategy of several hosts
    must come before any variable.
    """

  @property
  def parts(self) -> dict[str, tf_keras.layers.Layer]:
    """The parts by the names that warm starts and optimisers use."""
    parts = {"backbone": self.backbone, "projection": self.projection}
    if self.label_head is not None:
      parts["label_head"] = self.label_head
    if self.cf_head is not None:
      parts["cf_head"] = self.cf_head
    return parts

  def embed(self, windows: tf.Tensor, *, training: bool) -> tf.Tensor:
    """Embeds windows; at least float32 whatever the precision policy.

    Args:
      windows: dequantised windows, [batch, rows, *row_shape].
      training: whether batch norm uses the moments of this batch.

    Returns:
      Unit-norm embeddings, [batch, dim].
    """
    return self.projection(self.backbone(windows, training=training))

  def call(self, windows: tf.Tensor, *, training: bool) -> dict[str, tf.Tensor]:
    """Embeddings of windows and, with heads, what these give.

    Args:
      windows: dequantised windows, [batch, rows, *row_shape].
      training: whether batch norm uses the moments of this batch.

    Returns:
      EMBEDDING [batch, dim]; with a label head that gives them, LABEL_LOGITS
      [batch, num_labels]; with a CF head, CF_VECTOR [batch, num_factors].
    """
    embedding = self.embed(windows, training=training)
    outputs = {keys.EMBEDDING: embedding}
    if self.label_head is not None:
      logits = self.label_head(embedding)  # Builds the head, in any case.
      if self.label_head.gives_logits:
        outputs[keys.LABEL_LOGITS] = logits
    if self.cf_head is not None:
      outputs[keys.CF_VECTOR] = self.cf_head(embedding)
    return outputs
