"""From a function of the step to an infinite tf.data.Dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Batch = dict[str, npt.NDArray[Any]]
"""Arrays by the keys of `core.keys`."""


def dataset_of_steps(
  function: Callable[[int], Batch],
  signature: Mapping[str, tf.TensorSpec],
  *,
  first_step: int,
  num_parallel_calls: int,
  prefetch_batches: int,
) -> tf.data.Dataset:
  """An infinite dataset whose element s is `function(first_step + s)`.

  Args:
    function: a pure function of the step; called from several threads.
    signature: dtype and static shape of each array.
    first_step: step of the first element: resuming needs nothing else.
    num_parallel_calls: batches computed at once.
    prefetch_batches: batches held ready.

  Returns:
    A dataset of dictionaries, in the order of the steps.
  """
  names = sorted(signature)

  def compute(step: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    batch = function(int(step))
    return [batch[name] for name in names]

  def element(step: tf.Tensor) -> dict[str, tf.Tensor]:
    dtypes = [signature[name].dtype for name in names]
    arrays = tf.numpy_function(compute, [step], dtypes, stateful=False)
    return {
      name: tf.ensure_shape(array, signature[name].shape)
      for name, array in zip(names, arrays, strict=True)
    }

  steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
  return steps.map(
    element, num_parallel_calls=num_parallel_calls, deterministic=True
  ).prefetch(prefetch_batches)
