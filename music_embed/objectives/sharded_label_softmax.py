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
from music_embed.objectives import distances, label_base, label_blocks

_KEPT_BYTES = 1 << 28


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
      batch: WINDOWS [batch, *window_shape], or their EMBEDDING [batch, dim],
        and LABEL_IDS int32 [batch, max_labels].
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
    return self.from_embeddings(
      head,
      self.embedding(model, batch, training=training),
      batch[keys.LABEL_IDS],
      training=training,
      weight=weight,
      is_fixed=keys.EMBEDDING in batch,
    )

  def from_embeddings(
    self,
    head: head_lib.ShardedLabelSoftmaxHead,
    embedding: tf.Tensor,
    label_ids: tf.Tensor,
    *,
    training: bool,
    weight: float = 1.0,
    is_fixed: bool = False,
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
      is_fixed: whether nothing before the embeddings trains: their gradient
        is not computed.

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
    targets = label_blocks.target_weights(ids, whole.dtype)
    num_kept = self._num_kept(head, whole) if training else 0
    stats, kept = _statistics(head, whole, ids, targets, num_kept)
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
      gradient = _train(
        head, whole, ids, targets * factor, shift, weight, kept, is_fixed
      )
      if gradient is not None:
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
  num_kept: int,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
  """`combine`d over all labels of all replicas, [4, global batch].

  And the logits of the first `num_kept` blocks.
  """
  after: list[Any] = []
  parts: list[tf.Tensor] = []
  kept: list[tf.Tensor] = []
  for block, (kernel, bias, first) in head.blocks(after):
    logits = head_lib.block_logits(embedding, kernel, bias)
    parts.append(label_blocks.block_forward(logits, label_ids, targets, first))
    after[:] = parts[-1:]
    if block < num_kept:
      kept.append(logits)
  own = label_blocks.combine(tf.stack(parts))
  return label_blocks.combine(head_lib.all_gather(own[tf.newaxis])), kept


def _train(
  head: head_lib.ShardedLabelSoftmaxHead,
  embedding: tf.Tensor,
  label_ids: tf.Tensor,
  weights: tf.Tensor,
  shift: tf.Tensor,
  factor: float,
  kept: Sequence[tf.Tensor],
  is_fixed: bool,
) -> tf.Tensor | None:
  """Updates the head, where it trains; gives d loss / d embedding.

  Args:
    head: whose `updater` is applied.
    embedding: [global batch, dim].
    label_ids: int32 [global batch, max_labels].
    weights: see `label_blocks.block_backward`.
    shift: see `label_blocks.block_backward`.
    factor: of the update's gradients.
    kept: logits of the first blocks.
    is_fixed: whether nobody asks for the embedding's gradient.

  Returns:
    [global batch, dim], summed over replicas; None where it is not asked for.
  """
  updater = head.updater
  total = tf.zeros_like(embedding)
  after: list[Any] = []
  for block, (kernel, bias, first) in head.blocks(after):
    if block < len(kept):
      logits = kept[block]
    else:
      logits = head_lib.block_logits(embedding, kernel, bias)
    d_embedding, d_kernel, d_bias = label_blocks.block_backward(
      logits, label_ids, weights, first, shift, embedding, kernel
    )
    if not is_fixed:  # What nothing waits for is not computed.
      total += d_embedding
    used = [d_kernel, d_bias] if is_fixed else [total, d_kernel, d_bias]
    after[:] = used[:1]
    if updater is not None:
      # Once nothing reads the block any more it is updated in place, without
      # a copy.
      with tf.control_dependencies(used):
        after += updater.apply(
          block,
          d_kernel if factor == 1.0 else factor * d_kernel,
          d_bias if factor == 1.0 else factor * d_bias,
        )
  if is_fixed:
    return None
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
