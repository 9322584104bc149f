"""Softmax and its gradient on a block of labels (Huang et al. 2020, Eq. 2)."""

from __future__ import annotations

import tensorflow as tf

from music_embed.models.heads import sharded_label_softmax as head_lib


def target_weights(label_ids: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  """The l1-normalised targets: 1/n for each of n labels, 0 for padding.

  Args:
    label_ids: int32 [batch, max_labels], padded with -1.
    dtype: of the result.

  Returns:
    [batch, max_labels].
  """
  present = tf.cast(label_ids >= 0, dtype)
  count = tf.reduce_sum(present, axis=1, keepdims=True)
  return present / tf.maximum(count, 1.0)


def block_forward(
  logits: tf.Tensor, label_ids: tf.Tensor, weights: tf.Tensor, first: tf.Tensor
) -> tf.Tensor:
  """What a block of labels contributes to the loss.

  Args:
    logits: of the global batch, [batch, rows].
    label_ids: int32 [batch, max_labels], padded with -1.
    weights: targets of those labels, [batch, max_labels].
    first: number of the block's first row.

  Returns:
    [4, batch]: logsumexp of the logits, weighted sum of the labels' logits,
    highest logit, highest logit of a label (`MASKED` without labels here).
  """
  highest = tf.reduce_max(logits, axis=1)
  norm = tf.reduce_sum(tf.exp(logits - highest[:, tf.newaxis]), axis=1)
  local, own = head_lib.owned(label_ids, first, logits.shape[1])
  picked = tf.gather(logits, local, batch_dims=1)
  return tf.stack(
    [
      highest + tf.math.log(norm),
      tf.reduce_sum(tf.where(own, weights * picked, 0.0), axis=1),
      highest,
      tf.reduce_max(tf.where(own, picked, head_lib.MASKED), axis=1),
    ]
  )


def combine(parts: tf.Tensor) -> tf.Tensor:
  """Contributions of several blocks or replicas as those of one.

  Args:
    parts: [parts, 4, batch], as `block_forward` gives them.

  Returns:
    [4, batch].
  """
  return tf.stack(
    [
      tf.reduce_logsumexp(parts[:, 0], axis=0),
      tf.reduce_sum(parts[:, 1], axis=0),
      tf.reduce_max(parts[:, 2], axis=0),
      tf.reduce_max(parts[:, 3], axis=0),
    ]
  )


def block_backward(
  logits: tf.Tensor,
  label_ids: tf.Tensor,
  weights: tf.Tensor,
  first: tf.Tensor,
  shift: tf.Tensor,
  embedding: tf.Tensor,
  kernel: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """A block's part of the gradient with respect to embeddings and rows.

  Args:
    logits: of the global batch, [batch, rows].
    label_ids: int32 [batch, max_labels], padded with -1.
    weights: d loss / d logit of those labels, less the softmax's part, and
      negated: targets times the example's factor in the loss,
      [batch, max_labels].
    first: number of the block's first row.
    shift: logsumexp over all labels less the log of the example's factor in
      the loss, [batch]; very large for an example that doesn't count.
    embedding: of the global batch, [batch, dim].
    kernel: of the block, [rows, dim].

  Returns:
    [batch, dim], [rows, dim], [rows].
  """
  local, own = head_lib.owned(label_ids, first, logits.shape[1])
  example = tf.broadcast_to(
    tf.range(tf.shape(local)[0])[:, tf.newaxis], tf.shape(local)
  )
  d_logits = tf.tensor_scatter_nd_sub(
    tf.exp(logits - shift[:, tf.newaxis]),
    tf.stack([example, local], axis=-1),
    tf.where(own, weights, 0.0),
  )
  return (
    tf.matmul(d_logits, kernel),
    tf.matmul(d_logits, embedding, transpose_a=True),
    tf.reduce_sum(d_logits, axis=0),
  )
