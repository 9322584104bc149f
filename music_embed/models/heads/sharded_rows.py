"""Tensors whose rows lie in blocks on the replicas of a strategy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.models.heads import sharded_checkpoint

Array = npt.NDArray[Any]
_VALUE = "VARIABLE_VALUE"  # As a variable's: so a plain head reads it, too.


@dataclasses.dataclass(frozen=True)
class Partition:
  """Which rows lie where.

  A block is `num_replicas * rows` neighbouring rows, cut over the replicas in
  their order; the last block may end in rows past `num_rows`: padding.

  Attributes:
    num_rows: of the whole tensor.
    num_replicas: that share them.
    num_blocks: blocks that each replica has.
    rows: rows of a block on a replica.
  """

  num_rows: int
  num_replicas: int
  num_blocks: int
  rows: int

  @classmethod
  def of(cls, num_rows: int, num_replicas: int, num_blocks: int) -> Partition:
    """Cuts evenly, into at most `num_blocks` blocks, none all padding."""
    rows = -(-num_rows // (num_replicas * num_blocks))
    return cls(
      num_rows, num_replicas, -(-num_rows // (num_replicas * rows)), rows
    )

  @property
  def is_padded(self) -> bool:
    """Whether some rows are padding."""
    return self.num_replicas * self.num_blocks * self.rows > self.num_rows

  def first_row(self, block: int, replica: Any) -> Any:
    """Number of the first row of a replica's block; an int or a tensor."""
    return (block * self.num_replicas + replica) * self.rows


class ShardedRows(tf.__internal__.tracking.Trackable):
  """A `[num_rows, ...]` tensor of which each replica holds its own rows.

  Replicas' values are never mixed: reading a block outside a replica raises.
  A checkpoint holds the whole tensor, under a variable's name, and can be
  read by any number of replicas. Saving is a collective where there are
  several workers, of which the chief then holds the whole; in one process it
  exchanges nothing. Restoring reads the whole for a moment in each process.
  """

  def __init__(
    self,
    partition: Partition,
    row_shape: Sequence[int],
    *,
    dtype: tf.DType,
    name: str,
  ) -> None:
    """Makes it, zero, under the strategy in force.

    Args:
      partition: for as many replicas as the strategy has.
      row_shape: shape of a row.
      dtype: of the values.
      name: of the variables.
    """
    self.partition = partition
    self.row_shape = tuple(row_shape)
    self.dtype = dtype
    self._strategy = tf.distribute.get_strategy()
    shape = [partition.rows, *row_shape]
    self._blocks = [
      tf.Variable(
        lambda: tf.zeros(shape, dtype),
        trainable=False,
        name=f"{name}_{block}",
        dtype=dtype,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.NONE,
      )
      for block in range(partition.num_blocks)
    ]
    self._replicas = _local_replicas(self._strategy)
    self._gather = tf.function(self._gathered, autograph=False)

  def block(self, block: int) -> tf.Variable:
    """The variable [rows, ...] of a block; read it in a replica only."""
    return self._blocks[block]

  def assign(self, values: Callable[[int, int], Array]) -> None:
    """Sets this process's rows from (first row, one past the last)."""
    for block in range(self.partition.num_blocks):
      for replica, variable in self._local(block):
        first = self.partition.first_row(block, replica)
        last = min(first + self.partition.rows, self.partition.num_rows)
        if last > first:
          variable.assign(self._padded(values(first, last)))

  def whole(self) -> Array:
    """All rows, on this host; under several workers a collective."""
    result = np.empty(
      [self.partition.num_rows, *self.row_shape], self.dtype.as_numpy_dtype
    )
    for block in range(self.partition.num_blocks):
      rows = self.block_rows(block).numpy()
      first = self.partition.first_row(block, 0)
      result[first : first + len(rows)] = rows
    return result

  def block_rows(self, block: int) -> tf.Tensor:
    """A block's rows on all replicas, without padding; collective.

    Returns:
      [at most replicas * rows, ...].
    """
    _, count = self.block_extent(block)
    if self._is_one_process():
      parts = [variable.read_value() for _, variable in self._local(block)]
      with tf.device(self.host()):
        rows = parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)
        return rows if rows.shape[0] == count else rows[:count]
    gathered = self._gather(block)
    return self._strategy.experimental_local_results(gathered)[0][:count]

  def block_extent(self, block: int) -> tuple[int, int]:
    """First row of a block over all replicas, and how many there are."""
    size = self.partition.num_replicas * self.partition.rows
    first = block * size
    return first, min(size, self.partition.num_rows - first)

  def assign_block(self, block: int, rows: tf.Tensor) -> list[tf.Operation]:
    """Sets this process's share of a block.

    Args:
      block: which one.
      rows: what `block_rows` gives, [rows without padding, ...].
    """
    size = self.partition.rows
    done = []
    for replica, variable in self._local(block):
      own = self._padded(rows[replica * size : (replica + 1) * size])
      done.append(variable.assign(own, read_value=False))
    return [operation for operation in done if operation is not None]

  def writes(self) -> bool:
    """Whether this process is the one whose checkpoint counts."""
    return 0 in self._replicas

  def host(self) -> str:
    """The host CPU of this process's replicas, as a device."""
    _, variable = self._local(0)[0]
    spec = tf.DeviceSpec.from_string(variable.device)
    return spec.replace(device_type="CPU", device_index=0).to_string()

  def _gather_saveables_for_checkpoint(self) -> dict[str, Callable[..., Any]]:
    return {_VALUE: lambda name=_VALUE: sharded_checkpoint.saveable(self, name)}

  def _is_one_process(self) -> bool:
    return len(self._replicas) == self.partition.num_replicas

  def _local(self, block: int) -> list[tuple[int, tf.Variable]]:
    """This process's replicas, and their variables of a block."""
    variables = self._strategy.experimental_local_results(self._blocks[block])
    return list(zip(self._replicas, variables, strict=True))

  def _padded(self, rows: Any) -> tf.Tensor:
    rows = tf.cast(rows, self.dtype)
    missing = self.partition.rows - rows.shape[0]
    if not missing:
      return rows
    return tf.pad(rows, [[0, missing]] + [[0, 0]] * len(self.row_shape))

  def _gathered(self, block: int) -> Any:
    def own() -> tf.Tensor:
      rows = tf.identity(self._blocks[block].read_value())
      return tf.distribute.get_replica_context().all_gather(rows, axis=0)

    return self._strategy.run(own)


def _local_replicas(strategy: tf.distribute.Strategy) -> list[int]:
  """Numbers of the replicas of this process, in their order."""
  found: list[int] = []

  def note(context: tf.distribute.ValueContext) -> int:
    found.append(int(context.replica_id_in_sync_group))
    return 0

  strategy.experimental_distribute_values_from_function(note)
  return found
