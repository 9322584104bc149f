"""Checkpoints of sharded rows: one whole tensor, written in slices.

`SaveableObject` is the older of TensorFlow's two interfaces for this, and the
one that reads slices again as it wrote them; it has no public name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf
from tensorflow.python.training.saving import saveable_object


class Rows(Protocol):
  """What is saved: see `sharded_rows.ShardedRows`."""

  partition: Any
  row_shape: tuple[int, ...]
  dtype: tf.DType

  def block_extent(self, block: int) -> tuple[int, int]: ...  # noqa: D102

  def block_rows(self, block: int) -> tf.Tensor: ...  # noqa: D102

  def assign_block(  # noqa: D102
    self, block: int, rows: tf.Tensor
  ) -> list[tf.Operation]: ...

  def writes(self) -> bool: ...  # noqa: D102

  def host(self) -> str: ...  # noqa: D102


class _Saveable(saveable_object.SaveableObject):
  """Slices of one tensor, a block each."""

  def __init__(self, rows: Rows, name: str) -> None:
    self._rows = rows
    specs = [
      saveable_object.SaveSpec(
        functools.partial(_value, rows, block),
        slice_spec(*rows.block_extent(block), rows),
        name,
        dtype=rows.dtype,
        device=rows.host(),
      )
      for block in range(rows.partition.num_blocks)
    ]
    super().__init__(None, specs, name)

  def restore(
    self, restored_tensors: Sequence[tf.Tensor], restored_shapes: Any
  ) -> tf.Operation:
    """Takes this process's rows out of the blocks that were read."""
    del restored_shapes
    done: list[tf.Operation] = []
    for block, rows in enumerate(restored_tensors):
      done += self._rows.assign_block(block, rows)
    return tf.group(*done)


def saveable(rows: Rows, name: str) -> saveable_object.SaveableObject:
  """What a checkpoint asks for to save or restore `rows` as tensor `name`."""
  return _Saveable(rows, name)


def slice_spec(first: int, count: int, rows: Rows) -> str:
  """TensorFlow's notation of a slice, e.g. "9 4 3,3:0,4" for rows 3 to 5."""
  whole = [rows.partition.num_rows, *rows.row_shape]
  extents = [f"{first},{count}", *(f"0,{size}" for size in rows.row_shape)]
  return f"{' '.join(map(str, whole))} {':'.join(extents)}"


def _value(rows: Rows, block: int) -> tf.Tensor | None:
  """A block to write; None (nothing is written) outside the chief.

  Every worker must come here, in the same order: the chief's block is
  gathered from all of them, and the others drop it at once.
  """
  value = rows.block_rows(block)
  return value if rows.writes() else None
