"""Independent logistics on text labels, in place of Eq. 2's softmax."""

from __future__ import annotations

import tensorflow as tf

from music_embed.objectives import distances, label_softmax


def cross_entropy(
  logits: tf.Tensor, label_ids: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Binary cross-entropy summed over all labels, from ids alone.

  A label's loss is `softplus(logit) - target * logit` (its target is 1 or 0),
  so the sum needs no dense target: only the present labels' logits are taken
  off.

  Args:
    logits: [batch, num_labels].
    label_ids: int32 [batch, max_labels], each id once, padded with -1.

  Returns:
    The loss of each example [batch], zero without labels, and whether it has
    labels, bool [batch].
  """
  logits = distances.at_least_float32(logits)
  present = label_ids >= 0
  picked = tf.gather(logits, tf.maximum(label_ids, 0), batch_dims=1)
  picked = tf.reduce_sum(tf.where(present, picked, 0.0), axis=1)
  labelled = tf.reduce_any(present, axis=1)
  loss = tf.reduce_sum(tf.nn.softplus(logits), axis=1) - picked
  return tf.where(labelled, loss, 0.0), labelled


class LabelLogisticObjective(label_softmax.LabelSoftmaxObjective):
  """Binary cross-entropies over windows, summed over the vocabulary.

  All else is as with the softmax: windows of unlabelled recordings count for
  nothing, and the metrics are the same. `LabelLogisticHead` belongs to it.
  """

  name = "label_logistic"
  cross_entropy = staticmethod(cross_entropy)
