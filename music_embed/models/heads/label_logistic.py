"""The label head whose labels do not compete: a logistic for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from music_embed.models.heads import label_softmax


class LabelLogisticHead(label_softmax.LabelSoftmaxHead):
  """The same linear layer, read out by a logistic of each logit."""

  def posteriors(
    self, embedding: tf.Tensor, label_ids: Sequence[int] | npt.NDArray[Any]
  ) -> tf.Tensor:
    """Probability of each label by itself.

    Args:
      embedding: [batch, dim].
      label_ids: labels wanted, int [labels].

    Returns:
      [batch, labels], in (0, 1); rows don't sum to one.
    """
    logits = tf.gather(self(embedding), label_ids, axis=1)
    return tf.nn.sigmoid(logits)
