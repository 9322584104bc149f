"""The label head with its rows spread over the replicas.

Each replica holds some of the labels' rows and computes their logits for the
*global* batch, a block of rows at a time: no tensor is as long as the
vocabulary, and what replicas exchange does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.core import errors
from music_embed.models.heads import label_softmax, sharded_rows

MASKED = -1e30
"""Logit of no label. Not -inf: a TPU gathers by products with zeros."""

_ROWS_PER_BLOCK = 32_768


class ShardedLabelSoftmaxHead(label_softmax.LabelSoftmaxHead):
  """A label head for large vocabularies; trained by its own objective.

  It has no Keras weights: a Keras optimiser would add up gradients of
  different rows. `ShardedLabelSoftmaxObjective` computes the gradient of each
  block and hands it to `updater`, in the forward pass. Checkpoints are those
  of `LabelSoftmaxHead`: either reads the other's, on any number of replicas.

  Attributes:
    kernel: rows [num_labels, dim].
    bias: rows [num_labels], or None.
    updater: None (the head is frozen), or what trains the blocks:
      `begin_step()` once a step and replica, then, by the objective,
      `apply(block, d_kernel, d_bias)` for each block.
  """

  gives_logits = False

  def __init__(
    self,
    *,
    num_labels: int | None = None,
    use_bias: bool = True,
    num_blocks: int | None = None,
  ) -> None:
    """Makes the head; build it in a strategy's scope.

    Args:
      num_labels: size of the vocabulary; None until `set_num_labels`.
      use_bias: whether a label has a bias.
      num_blocks: blocks that each replica's rows are cut into; None for
        blocks of at most 32,768 rows. Few rows need little memory at a time.

    Raises:
      ConfigError: `num_blocks` is not positive.
    """
    if num_blocks is not None and num_blocks < 1:
      raise errors.ConfigError(
        f"ShardedLabelSoftmaxHead.num_blocks={num_blocks}: at least 1"
      )
    super().__init__(num_labels=num_labels, use_bias=use_bias)
    self.updater = None
    self._num_blocks = num_blocks

  @property
  def updater(self) -> Any:
    """What trains the blocks; not a part of the head in checkpoints."""
    return self._updater

  @updater.setter
  def updater(self, updater: Any) -> None:
    object.__setattr__(self, "_updater", updater)  # Keras would track it.

  def build(self, input_shape: tf.TensorShape) -> None:
    """Creates this process's rows.

    Raises:
      ConfigError: the number of labels was never set.
    """
    num_labels, dim = self.required_num_labels(), int(input_shape[-1])
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    blocks = self._num_blocks or -(-num_labels // (replicas * _ROWS_PER_BLOCK))
    self.partition = sharded_rows.Partition.of(num_labels, replicas, blocks)
    self.kernel = self.new_rows("kernel", (dim,))
    self.kernel.assign(
      lambda start, stop: self.initial_kernel_rows(dim, start, stop)
    )
    self.bias = self.new_rows("bias", ()) if self.use_bias else None
    self.built = True

  def new_rows(
    self, name: str, row_shape: Sequence[int]
  ) -> sharded_rows.ShardedRows:
    """Zeros `[num_labels, *row_shape]`, placed as the kernel's rows are."""
    return sharded_rows.ShardedRows(
      self.partition,
      row_shape,
      dtype=tf.as_dtype(self.dtype),
      name=f"{self.name}/{name}",
    )

  def call(self, embedding: tf.Tensor) -> tf.Tensor:
    """Gives the embedding back: there are no logits of all labels."""
    return embedding

  def read(self, block: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A block of this replica; call in replica context.

    Returns:
      Its kernel [rows, dim], its bias [rows], `MASKED` where a row is padding,
      and the number of its first row, an int32 scalar.
    """
    first = tf.cast(self.partition.first_row(block, replica_id()), tf.int32)
    kernel = self.kernel.block(block).read_value()
    rows = self.partition.rows
    if self.bias is None:
      bias = tf.zeros([rows], kernel.dtype)
    else:
      bias = self.bias.block(block).read_value()
    if self.partition.is_padded:
      is_label = first + tf.range(rows) < self.partition.num_rows
      bias = tf.where(is_label, bias, tf.constant(MASKED, kernel.dtype))
    return kernel, bias, first

  def blocks(
    self, after: list[Any]
  ) -> Iterator[tuple[int, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]:
    """Numbers and contents (see `read`) of the blocks, one after another.

    Args:
      after: a list that the caller sets, `after[:] = ...`, to what a block
        gave: the next one is read after that, so that one block of logits
        is alive at a time.
    """
    for block in range(self.partition.num_blocks):
      with tf.control_dependencies(after):
        contents = self.read(block)
      yield block, contents

  def check_context(self) -> None:
    """Checks that the caller runs on the replicas that hold the rows.

    Raises:
      ConfigError: it does not.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas != self.partition.num_replicas:
      raise errors.ConfigError(
        f"the label head's rows lie on {self.partition.num_replicas} replicas,"
        f" the caller runs on {replicas}: call it under the strategy that it"
        " was built in"
      )

  def posteriors(
    self, embedding: tf.Tensor, label_ids: Sequence[int] | npt.NDArray[Any]
  ) -> tf.Tensor:
    """Softmax over all labels, of some of them; collective, no gradient.

    Args:
      embedding: this replica's, [batch, dim], as many on every replica.
      label_ids: int [labels], the same on every replica.

    Returns:
      This replica's, [batch, labels], in at least float32.

    Raises:
      ConfigError: called outside the strategy that the head was built in.
    """
    if not self.built:
      self(embedding)
    self.check_context()
    whole = all_gather(tf.cast(embedding, self.dtype))
    ids = tf.constant(np.asarray(label_ids, np.int32))
    after: list[Any] = []
    sums, picked = [], tf.zeros([], whole.dtype)
    for _, (kernel, bias, first) in self.blocks(after):
      logits = block_logits(whole, kernel, bias)
      local, own = owned(ids, first, self.partition.rows)
      picked += tf.where(own, tf.gather(logits, local, axis=1), 0.0)
      sums.append(tf.reduce_logsumexp(logits, axis=1))
      after[:] = [picked, sums[-1]]
    stats = all_gather(tf.reduce_logsumexp(tf.stack(sums), 0)[tf.newaxis])
    if self.partition.num_replicas > 1:
      context = tf.distribute.get_replica_context()
      picked = context.all_reduce(tf.distribute.ReduceOp.SUM, picked)
    log_norm = tf.reduce_logsumexp(stats, axis=0)
    return own_slice(tf.exp(picked - log_norm[:, tf.newaxis]), embedding)

  def label_embeddings(self) -> tf.Tensor:
    """Unit-norm embeddings of all labels, [num_labels, dim]; collective."""
    return tf.math.l2_normalize(tf.constant(self.kernel.whole()), axis=-1)

  def unsharded(self) -> label_softmax.LabelSoftmaxHead:
    """A plain head of the same size and, where this one is built, weights.

    A collective, where there are several workers and the head is built.
    """
    head = label_softmax.LabelSoftmaxHead(
      num_labels=self.num_labels, use_bias=self.use_bias
    )
    if self.built:
      head.build(tf.TensorShape([None, *self.kernel.row_shape]))
      head.kernel.assign(self.kernel.whole())
      if self.bias is not None and head.bias is not None:
        head.bias.assign(self.bias.whole())
    return head

  def count_params(self) -> int:
    """Numbers in kernel and bias, over all replicas."""
    dim = self.kernel.row_shape[0]
    return self.partition.num_rows * (dim + int(self.use_bias))


def block_logits(
  embedding: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
  """Logits of a block of labels.

  Args:
    embedding: of the global batch, [batch, dim].
    kernel: [rows, dim].
    bias: [rows], `MASKED` for padding.

  Returns:
    [batch, rows].
  """
  return tf.matmul(embedding, kernel, transpose_b=True) + bias


def owned(
  label_ids: tf.Tensor, first: tf.Tensor, rows: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """Which labels are a block's, and their rows in it.

  Args:
    label_ids: int32, any shape; negative for none.
    first: number of the block's first row.
    rows: of the block.

  Returns:
    Rows, 0 for other labels, and whether they are the block's, bool.
  """
  own = tf.logical_and(label_ids >= first, label_ids < first + rows)
  return tf.where(own, label_ids - first, 0), own


def replica_id() -> tf.Tensor:
  """Number of this replica, an int32 scalar."""
  context = tf.distribute.get_replica_context()
  return tf.cast(context.replica_id_in_sync_group, tf.int32)


def all_gather(x: tf.Tensor) -> tf.Tensor:
  """[n, ...] of each replica -> [n * replicas, ...]; carries no gradient."""
  replicas = tf.distribute.get_strategy().num_replicas_in_sync
  if replicas == 1:
    return tf.stop_gradient(x)
  context = tf.distribute.get_replica_context()
  # A collective cannot take a function's argument directly, and forgets the
  # static shape.
  gathered = context.all_gather(tf.identity(tf.stop_gradient(x)), axis=0)
  shape = x.shape.as_list()
  size = None if shape[0] is None else shape[0] * replicas
  return tf.ensure_shape(gathered, [size, *shape[1:]])


def own_slice(whole: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """This replica's part [n, ...] of what concerns the global batch.

  Args:
    whole: [n * replicas, ...].
    like: a tensor [n, ...] of this replica.
  """
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return whole
  size = like.shape[0] or tf.shape(like)[0]
  begin = [replica_id() * size] + [0] * (whole.shape.rank - 1)
  return tf.slice(whole, begin, [size, *whole.shape[1:]])
