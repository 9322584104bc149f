"""A stage's batches, cut over the replicas of a strategy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors, types
from music_embed.training import task as task_lib


@dataclasses.dataclass(frozen=True)
class InputOptions:
  """How a host makes batches: without influence on what is in them.

  Attributes:
    num_parallel_calls: batches of a source made at once.
    prefetch_batches: batches of a source held ready.
  """

  num_parallel_calls: int = 2
  prefetch_batches: int = 4

  def __post_init__(self) -> None:
    for name in ("num_parallel_calls", "prefetch_batches"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"InputOptions.{name} must be at least 1")


def adapted(
  tasks: Sequence[task_lib.Task],
  *,
  replicas: int = 1,
  options: InputOptions | None = None,
  is_remote: bool = False,
) -> list[task_lib.Task]:
  """The tasks with their sources made fit for a machine.

  Args:
    tasks: the stage's terms.
    replicas: what each source's batch is multiplied by.
    options: for all sources; None leaves each its own.
    is_remote: whether the machine's hosts run none of our Python.

  Raises:
    ConfigError: a source's batches cannot be made larger, or not there.
  """
  found = []
  for task in tasks:
    source = task.source
    if is_remote and source.runs_python:
      raise errors.ConfigError(
        f"{type(source).__name__} runs Python where batches are made, which a "
        f"TPU's remote hosts cannot: write them with launch/materialize.py, "
        f"and train with MaterializedSource"
      )
    if replicas > 1:
      source = source.scaled(replicas)
    if options is not None:
      source = source.tuned(
        options.num_parallel_calls, options.prefetch_batches
      )
    found.append(dataclasses.replace(task, source=source))
  return found


def distribute(
  tasks: Sequence[task_lib.Task],
  dataset: Any,
  *,
  strategy: tf.distribute.Strategy,
  seed: int,
  first_step: int,
) -> Any:
  """One global batch of every task a step, cut into the replicas' slices.

  Each worker of the strategy makes its own slice only, and cuts it over its
  own replicas.

  Args:
    tasks: the stage's terms.
    dataset: the PreparedDataset that their sources read.
    strategy: whose replicas share each batch.
    seed: of the sampling.
    first_step: the step that training is at.

  Returns:
    A distributed dataset of tuples of batch dictionaries.
  """

  def batches_of(context: tf.distribute.InputContext) -> tf.data.Dataset:
    workers = context.num_input_pipelines
    worker = types.Slice(context.input_pipeline_id, workers)
    batches = tf.data.Dataset.zip(
      tuple(
        task.source.batches(
          dataset, seed=seed, first_step=first_step, worker=worker
        )
        for task in tasks
      )
    )
    replicas = context.num_replicas_in_sync // workers
    if replicas > 1:
      batches = batches.map(
        lambda *batch: tf.nest.map_structure(
          lambda x: _split(x, replicas), batch
        )
      ).unbatch()
    options = tf.data.Options()
    options.autotune.enabled = True
    options.deterministic = True
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)

  return strategy.distribute_datasets_from_function(batches_of)


def _split(value: tf.Tensor, replicas: int) -> tf.Tensor:
  """`[batch, ...]` -> `[replicas, batch / replicas, ...]`."""
  batch = value.shape[0]
  shape = [replicas, batch // replicas, *value.shape[1:]]
  return tf.reshape(value, shape)
