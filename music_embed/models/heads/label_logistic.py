"""The label head whose labels do not compete: a logistic for each."""

from __future__ import annotations

import math

import tensorflow as tf

from music_embed.core import errors
from music_embed.models.heads import label_softmax


class LabelLogisticHead(label_softmax.LabelSoftmaxHead):
  """The same linear layer, read out by a logistic of each logit."""

  def __init__(
    self,
    *,
    num_labels: int | None = None,
    use_bias: bool = True,
    prior: float = 0.01,
  ) -> None:
    """Makes the head.

    Args:
      num_labels: size of the vocabulary; None until `set_num_labels`.
      use_bias: whether a label has a bias.
      prior: probability that every label starts with, through its bias. Most
        labels are absent from most windows; from a prior of a half it would
        be the network that has to say so first (Lin et al. 2017, "Focal loss
        for dense object detection", section 4.1).

    Raises:
      ConfigError: `prior` is no probability.
    """
    super().__init__(num_labels=num_labels, use_bias=use_bias)
    if not 0.0 < prior < 1.0:
      raise errors.ConfigError(
        f"LabelLogisticHead.prior = {prior}: must lie in (0, 1)"
      )
    self.initial_bias = math.log(prior / (1.0 - prior))

  def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
    """Of each label by itself, [batch, num_labels]: rows sum to anything."""
    return tf.nn.sigmoid(logits)
