"""Memory of batches: aligned, used again, never while somebody holds it."""

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import keys
from music_embed.data.pipeline import batching, buffers, labelled


def _address(array: np.ndarray) -> int:
  return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<f4"])
def test_arrays_are_aligned_and_of_the_shape_asked_for(dtype: str) -> None:
  array = buffers.BufferPool().empty((3, 5, 7), dtype)
  assert array.shape == (3, 5, 7)
  assert array.dtype == np.dtype(dtype)
  assert _address(array) % 64 == 0
  assert array.flags.writeable
  assert array.flags.c_contiguous


def test_memory_is_used_again_once_the_last_view_is_gone() -> None:
  pool = buffers.BufferPool()
  first = pool.empty((4, 8), np.uint8)
  place, view = _address(first), first.reshape(8, 4)[2:]
  del first
  other = pool.empty((4, 8), np.uint8)
  assert _address(other) != place
  del view
  assert _address(pool.empty((2, 4), np.float32)) == place


def test_tensors_take_the_memory_over_and_keep_it(write_dataset: Any) -> None:
  dataset = write_dataset().open()
  source = labelled.LabelledSource(batch_windows=64)
  steps = source.steps(dataset, seed=0)
  # Held tensors must not change while later batches are made.
  held = list(source.batches(dataset, seed=0, first_step=0).take(40))
  for step, batch in enumerate(held):
    expected = steps.function(step)[keys.WINDOWS]
    np.testing.assert_array_equal(batch[keys.WINDOWS].numpy(), expected)


def test_an_aligned_array_becomes_a_tensor_without_a_copy() -> None:
  pool = buffers.BufferPool()
  places: list[int] = []

  def function(step: int) -> batching.Batch:
    array = pool.empty((1 << 16,), np.uint8)
    array[:] = step
    places.append(_address(array))
    return {"a": array}

  spec = batching.ArraySpec((1 << 16,), np.dtype(np.uint8))
  batches = batching.dataset_of_steps(
    batching.Steps(function, {"a": spec}),
    first_step=0,
    num_parallel_calls=1,
    prefetch_batches=1,
  )
  num_batches = 200
  for step, batch in enumerate(batches.take(num_batches)):
    tf.debugging.assert_equal(batch["a"], tf.cast(step, tf.uint8))
    del batch
  # Copied tensors would leave one place; a leak, as many as batches. How many
  # there are between depends on how soon threads let go.
  assert 1 < len(set(places)) < num_batches


_TAKES_SOME_AND_ENDS = """
  import sys
  from music_embed.data.pipeline import labelled
  from music_embed.data.records import prepared

  dataset = prepared.PreparedDataset(sys.argv[1])
  source = labelled.LabelledSource(batch_windows=2_000, prefetch_batches=60)
  iterator = iter(source.batches(dataset, seed=0, first_step=0))
  for _ in range(10):
    next(iterator)
"""


def test_a_process_ends_while_batches_are_being_made(
  write_dataset: Any,
) -> None:
  program = textwrap.dedent(_TAKES_SOME_AND_ENDS)
  directory = write_dataset().directory
  command = [sys.executable, "-c", program, directory]
  assert subprocess.run(command, timeout=90, check=False).returncode == 0
