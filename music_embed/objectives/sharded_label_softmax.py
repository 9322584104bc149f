"""The label softmax (Huang et al. 2020, Eq. 2) over rows on many replicas.

No tape passes through the head: each replica goes through its rows twice,
block by block; first for the softmax's norm, then, once that is known over
all replicas, for the gradient, with which the block is updated in place. What
logits memory is given for are kept in between, the others computed again.
Replicas exchange embeddings, label ids, four numbers an example, and the
embeddings' gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors, keys
from music_embed.models.heads import sharded_label_softmax as head_lib
from music_embed.objectives import distances, label_base

_KEPT_BYTES = 1 << 28


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


class ShardedLabelSoftmaxObjective(label_base.LabelObjective):
  """`LabelSoftmaxObjective` for a `ShardedLabelSoftmaxHead`.

  The loss, its gradient and the metrics are the same; where two labels tie
  for the highest logit, either is a hit.
  """

  name = "label_softmax"

  def __init__(
    self, *, reduction: str = "mean", kept_bytes: int = _KEPT_BYTES
  ) -> None:
    """Makes the objective.

    Args:
      reduction: "mean" over the global batch's labelled windows, or "sum".
      kept_bytes: a replica's memory for logits that are kept rather than
        computed again: of the global batch and as many of its blocks as fit.

    Raises:
      ConfigError: an unknown `reduction`, a negative `kept_bytes`.
    """
    if kept_bytes < 0:
      raise errors.ConfigError(
        f"ShardedLabelSoftmaxObjective.kept_bytes={kept_bytes}: 0 or more"
      )
    super().__init__(reduction=reduction)
    self._kept_bytes = kept_bytes

  def __call__(
    self,
    model: Any,
    batch: Mapping[str, tf.Tensor],
    *,
    training: bool,
    weight: float = 1.0,
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """See `Objective`.

    Args:
      model: an `Embedder` with a `ShardedLabelSoftmaxHead`.
      batch: WINDOWS [batch, *window_shape] and LABEL_IDS int32
        [batch, max_labels].
      training: whether the network trains on this batch.
      weight: factor of the loss in the stage's sum, for the head's update.

    Returns:
      The loss and the metrics of `from_embeddings`.

    Raises:
      ConfigError: the network has no such head.
    """
    head = model.label_head
    if not isinstance(head, head_lib.ShardedLabelSoftmaxHead):
      raise errors.ConfigError(
        "ShardedLabelSoftmaxObjective needs a ShardedLabelSoftmaxHead as "
        "Embedder.label_head"
      )
    embedding = model.embed(batch[keys.WINDOWS], training=training)
    return self.from_embeddings(
      head, embedding, batch[keys.LABEL_IDS], training=training, weight=weight
    )

  def from_embeddings(
    self,
    head: head_lib.ShardedLabelSoftmaxHead,
    embedding: tf.Tensor,
    label_ids: tf.Tensor,
    *,
    training: bool,
    weight: float = 1.0,
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The loss of embeddings; when training, updates the head by it.

    Args:
      head: built, in the strategy in force.
      embedding: this replica's, [batch, dim].
      label_ids: this replica's, int32 [batch, max_labels], padded with -1.
      training: whether `head.updater`, if any, is applied, and the loss has
        a gradient (with respect to `embedding`). Whoever makes the step has
        called the updater's `begin_step` before.
      weight: factor of the loss in the stage's sum, for the head's update.

    Returns:
      The loss, and over the global batch: `labelled` (share of windows with
      labels) and `top_label_hit` (share of those where no label's logit is
      higher than that of one of their own).

    Raises:
      ConfigError: called outside the strategy that the head was built in.
    """
    head.check_context()
    embedding = tf.cast(distances.at_least_float32(embedding), head.dtype)
    whole = head_lib.all_gather(embedding)
    ids = head_lib.all_gather(label_ids)
    targets = target_weights(ids, whole.dtype)
    kept: list[tf.Tensor] = []
    num_kept = self._num_kept(head, whole) if training else 0
    stats = _statistics(head, whole, ids, targets, kept, num_kept)
    log_norm, positive, highest, best = tf.unstack(stats)
    labelled = tf.reduce_any(ids >= 0, axis=1)
    hits = tf.logical_and(labelled, best >= highest)
    losses = tf.where(labelled, log_norm - positive, 0.0)
    num_labelled = tf.maximum(
      tf.reduce_sum(tf.cast(labelled, whole.dtype)), 1.0
    )
    factor = tf.ones([], whole.dtype)
    if self._reduction == "mean":
      factor = factor / num_labelled
    loss = _own_sum(losses, embedding) * factor
    if training:
      shift = tf.where(
        labelled, log_norm - tf.math.log(factor), -head_lib.MASKED
      )
      gradient = _train(head, whole, ids, targets * factor, shift, weight, kept)
      loss = _with_gradient(
        loss, embedding, head_lib.own_slice(gradient, embedding)
      )
    size = tf.cast(tf.shape(whole)[0], whole.dtype)
    return loss, {
      "labelled": _own_sum(labelled, embedding) / size,
      "top_label_hit": _own_sum(hits, embedding) / num_labelled,
    }

  def _num_kept(
    self, head: head_lib.ShardedLabelSoftmaxHead, embedding: tf.Tensor
  ) -> int:
    """Of how many blocks the logits are kept."""
    batch, rows = embedding.shape[0], head.partition.rows
    if batch is None:  # Nobody knows how much that would be.
      return 0
    return int(self._kept_bytes // (batch * rows * embedding.dtype.size))


def _statistics(
  head: head_lib.ShardedLabelSoftmaxHead,
  embedding: tf.Tensor,
  label_ids: tf.Tensor,
  targets: tf.Tensor,
  kept: list[tf.Tensor],
  num_kept: int,
) -> tf.Tensor:
  """`combine`d over all labels of all replicas, [4, global batch].

  The logits of the first `num_kept` blocks are appended to `kept`.
  """
  after: list[Any] = []
  parts = []
  for block, (kernel, bias, first) in head.blocks(after):
    logits = head_lib.block_logits(embedding, kernel, bias)
    parts.append(block_forward(logits, label_ids, targets, first))
    after[:] = parts[-1:]
    if block < num_kept:
      kept.append(logits)
  own = combine(tf.stack(parts))
  return combine(head_lib.all_gather(own[tf.newaxis]))


def _train(
  head: head_lib.ShardedLabelSoftmaxHead,
  embedding: tf.Tensor,
  label_ids: tf.Tensor,
  weights: tf.Tensor,
  shift: tf.Tensor,
  factor: float,
  kept: Sequence[tf.Tensor],
) -> tf.Tensor:
  """Updates the head, where it trains; gives d loss / d embedding.

  Args:
    head: whose `updater` is applied.
    embedding: [global batch, dim].
    label_ids: int32 [global batch, max_labels].
    weights: see `block_backward`.
    shift: see `block_backward`.
    factor: of the update's gradients.
    kept: logits of the first blocks.

  Returns:
    [global batch, dim], summed over replicas.
  """
  updater = head.updater
  total = tf.zeros_like(embedding)
  after: list[Any] = []
  for block, (kernel, bias, first) in head.blocks(after):
    if block < len(kept):
      logits = kept[block]
    else:
      logits = head_lib.block_logits(embedding, kernel, bias)
    d_embedding, d_kernel, d_bias = block_backward(
      logits, label_ids, weights, first, shift, embedding, kernel
    )
    total += d_embedding
    after[:] = [total]
    if updater is not None:
      # Once nothing reads the block any more it is updated in place, without
      # a copy.
      with tf.control_dependencies([total, d_kernel, d_bias]):
        after += updater.apply(
          block,
          d_kernel if factor == 1.0 else factor * d_kernel,
          d_bias if factor == 1.0 else factor * d_bias,
        )
  if head.partition.num_replicas == 1:
    return total
  context = tf.distribute.get_replica_context()
  return context.all_reduce(tf.distribute.ReduceOp.SUM, total)


def _with_gradient(
  loss: tf.Tensor, embedding: tf.Tensor, gradient: tf.Tensor
) -> tf.Tensor:
  """The loss, as a function of `embedding` that has this gradient."""

  def attach(embedding: tf.Tensor) -> Any:
    del embedding
    return tf.identity(loss), lambda upstream: upstream * gradient

  return tf.custom_gradient(attach)(embedding)


def _own_sum(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """Sum over this replica's examples of values [global batch]."""
  own = head_lib.own_slice(values, like)
  return tf.reduce_sum(tf.cast(own, like.dtype))
