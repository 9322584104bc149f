"""What a source of batches is: a function of the step, made a tf.data one."""

from __future__ import annotations

import abc
import atexit
import copy
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from music_embed.core import types
from music_embed.data.records import prepared

Batch = dict[str, npt.NDArray[Any]]
"""Arrays by the keys of `core.keys`."""

WHOLE = types.Slice(0, 1)
"""The slice of a worker that works alone."""


class ArraySpec(NamedTuple):
  """Static shape and dtype of one array of a batch."""

  shape: tuple[int, ...]
  dtype: np.dtype[Any]


@dataclasses.dataclass(frozen=True)
class Steps:
  """One worker's batches by step, without TensorFlow.

  Attributes:
    function: step -> batch; pure, and safe to call from several threads.
    signature: what a batch holds, by name; the first dimension of each array
      is the worker's rows.
  """

  function: Callable[[int], Batch]
  signature: Mapping[str, ArraySpec]


class StepSource(abc.ABC):
  """A source whose batch s is a pure function of (seed, s).

  So resuming needs the step alone, and any number of workers cut the same
  global batches into slices.
  """

  runs_python = True

  def __init__(self, *, num_parallel_calls: int, prefetch_batches: int) -> None:
    """Sets what has no influence on the batches.

    Args:
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.
    """
    self._num_parallel_calls = num_parallel_calls
    self._prefetch_batches = prefetch_batches

  @property
  def available(self) -> range | None:
    """None: there is a batch for every step."""
    return None

  @abc.abstractmethod
  def steps(
    self,
    dataset: prepared.PreparedDataset,
    *,
    seed: int,
    worker: types.Slice = WHOLE,
  ) -> Steps:
    """The batches as a function of the step.

    Args:
      dataset: the prepared dataset.
      seed: of the run.
      worker: which rows of each global batch are made; windows of no other
        rows are read.

    Returns:
      The function and what its batches hold.

    Raises:
      DataError: the dataset has nothing to draw.
      ConfigError: the batch does not divide evenly over the workers.
    """

  @abc.abstractmethod
  def scaled(self, replicas: int) -> Self:
    """The source whose global batch is as many times this one's."""

  def tuned(self, num_parallel_calls: int, prefetch_batches: int) -> Self:
    """The same batches, made by other means.

    Args:
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.
    """
    source = copy.copy(self)
    source._num_parallel_calls = num_parallel_calls
    source._prefetch_batches = prefetch_batches
    return source

  @abc.abstractmethod
  def describe(self) -> dict[str, Any]:
    """Everything that decides the batches, as JSON values."""

  def batches(
    self,
    dataset: prepared.PreparedDataset,
    *,
    seed: int,
    first_step: int,
    worker: types.Slice = WHOLE,
  ) -> Any:
    """A tf.data.Dataset of the batches from a step on, endless.

    Args:
      dataset: the prepared dataset.
      seed: of the run.
      first_step: step of the first batch.
      worker: which rows of each global batch this worker gets.

    Returns:
      A dataset of dictionaries of tensors of static shape.

    Raises:
      DataError, ConfigError: as `steps`.
    """
    return dataset_of_steps(
      self.steps(dataset, seed=seed, worker=worker),
      first_step=first_step,
      num_parallel_calls=self._num_parallel_calls,
      prefetch_batches=self._prefetch_batches,
    )


class _Calls:
  """Lets the calls of TensorFlow's threads end before the interpreter does.

  A thread that asks for the interpreter's lock after that vanishes inside its
  call, and whoever then destroys the dataset waits for it for ever. So the
  end of the process waits until the datasets have filled their buffers, with
  anything, and call no more.
  """

  _POLL_S = 0.02
  _MAX_POLLS = 250

  def __init__(self) -> None:
    self._lock = threading.Lock()
    self._active = 0
    self._total = 0
    self._is_open = True
    atexit.register(self._close)

  def __enter__(self) -> bool:
    with self._lock:
      self._active += 1
      self._total += 1
      return self._is_open

  def __exit__(self, *exception: object) -> None:
    with self._lock:
      self._active -= 1

  def _close(self) -> None:
    self._is_open = False
    if not self._total:
      return
    for _ in range(self._MAX_POLLS):
      before = self._total
      time.sleep(self._POLL_S)
      if not self._active and self._total == before:
        return


_CALLS = _Calls()


def dataset_of_steps(
  steps: Steps,
  *,
  first_step: int,
  num_parallel_calls: int,
  prefetch_batches: int,
) -> Any:
  """An endless tf.data.Dataset whose element s is batch `first_step + s`.

  Args:
    steps: the batches.
    first_step: step of the first element: resuming needs nothing else.
    num_parallel_calls: batches computed at once.
    prefetch_batches: batches held ready.

  Returns:
    A dataset of dictionaries, in the order of the steps.
  """
  import tensorflow as tf  # Materialising a source does without it.

  names = sorted(steps.signature)
  specs = [steps.signature[name] for name in names]

  def compute(step: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    with _CALLS as is_open:
      if not is_open:
        return [np.zeros(spec.shape, spec.dtype) for spec in specs]
      batch = steps.function(int(step))
      return [batch[name] for name in names]

  def element(step: tf.Tensor) -> dict[str, tf.Tensor]:
    dtypes = [spec.dtype for spec in specs]
    arrays = tf.numpy_function(compute, [step], dtypes, stateful=False)
    return {
      name: tf.ensure_shape(array, spec.shape)
      for name, array, spec in zip(names, arrays, specs, strict=True)
    }

  numbers = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
  return numbers.map(
    element, num_parallel_calls=num_parallel_calls, deterministic=True
  ).prefetch(prefetch_batches)
