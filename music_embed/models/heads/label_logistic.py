"""The label head whose labels do not compete: a logistic for each."""

from __future__ import annotations

import tensorflow as tf

from music_embed.models.heads import label_softmax


class LabelLogisticHead(label_softmax.LabelSoftmaxHead):
  """The same linear layer, read out by a logistic of each logit."""

  def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
    """Of each label by itself, [batch, num_labels]: rows sum to anything."""
    return tf.nn.sigmoid(logits)
