"""The inner step of training, as an orbit trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf
import tf_keras

from music_embed.core import errors, keys, types
from music_embed.training import optimizers as optimizers_lib
from music_embed.training import task as task_lib

Batch = Mapping[str, tf.Tensor]
Preprocess = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Trainer(orbit.StandardTrainer):
  """Minimises the weighted sum of a stage's task losses.

  Every objective returns its replica's contribution, so that the sum over
  replicas is the loss of the global batch; optimisers sum the gradients.
  """

  def __init__(
    self,
    *,
    embedder: tf_keras.Model,
    tasks: Sequence[task_lib.Task],
    optimizers: Sequence[optimizers_lib.PartOptimizer],
    preprocess: Preprocess,
    seed: int,
  ):
    """Creates optimisers; call inside the strategy's scope.

    Args:
      embedder: the built network.
      tasks: terms of the loss.
      optimizers: by parts; parts without one are frozen.
      preprocess: (stored windows `[..., *window_shape]`, int32 seed `[2]`) ->
        float windows, on the device.
      seed: of the augmentation.
    """
    names = [task.objective.name for task in tasks]
    if len(set(names)) < len(names):
      raise errors.ConfigError(
        f"two tasks have the same objective ({', '.join(names)}): their "
        f"measures would hide each other"
      )
    self.embedder = embedder
    self.global_step = orbit.utils.create_global_step()
    self._strategy = tf.distribute.get_strategy()
    self._tasks = tuple(tasks)
    self._preprocess = preprocess
    self._seed = seed
    used = {part for task in tasks for part in task.objective.parts}
    optimizers_lib.check_parts(optimizers, embedder.parts, used)
    self._set_trainable(optimizers)
    self._groups = [
      (_variables(embedder, options.parts), options.create())
      for options in optimizers
    ]
    for variables, optimizer in self._groups:
      optimizer.build(variables)
    self._sums: dict[str, tf.Variable] = {}
    super().__init__(train_dataset=None)

  @property
  def optimizers(self) -> list[tf_keras.optimizers.Optimizer]:
    """The optimisers, in their options' order."""
    return [optimizer for _, optimizer in self._groups]

  def set_dataset(self, dataset: Any) -> None:
    """Sets the distributed dataset of batch tuples, one batch per task."""
    self._train_dataset = dataset
    self._train_iter = None

  def train_loop_begin(self) -> None:
    """Forgets the metrics of the previous loop."""
    for total in self._sums.values():
      total.assign(0.0)
    self._first_step = int(self.global_step.numpy())

  def train_step(self, iterator: Any) -> None:
    """Runs one step of every replica."""
    metrics = self._strategy.run(self._replica_step, args=(next(iterator),))
    for name, value in metrics.items():
      total = self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, None)
      self._sum(name).assign_add(tf.cast(total, tf.float64))
    self.global_step.assign_add(1)

  def train_loop_end(self) -> dict[str, float]:
    """Means of the metrics over the loop's steps."""
    steps = max(int(self.global_step.numpy()) - self._first_step, 1)
    return {k: float(v.numpy()) / steps for k, v in sorted(self._sums.items())}

  def _replica_step(self, batches: Sequence[Batch]) -> dict[str, tf.Tensor]:
    metrics: dict[str, tf.Tensor] = {}
    with tf.GradientTape() as tape:
      total = 0.0
      for index, (task, batch) in enumerate(
        zip(self._tasks, batches, strict=True)
      ):
        loss, values = task.objective(
          self.embedder, self._prepared(batch, index), training=True
        )
        total += task.weight * loss
        name = task.objective.name
        metrics[f"{name}/loss"] = loss
        metrics.update({f"{name}/{k}": v for k, v in values.items()})
    gradients = tape.gradient(total, [v for v, _ in self._groups])
    for own, (variables, optimizer) in zip(
      gradients, self._groups, strict=True
    ):
      optimizer.apply_gradients(zip(own, variables, strict=True))
    return metrics

  def _prepared(self, batch: Batch, index: int) -> dict[str, tf.Tensor]:
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    stream = 1_000 * index + tf.cast(replica, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(
      tf.stack([self._seed, tf.cast(self.global_step, tf.int32)]), stream
    )
    windows = self._preprocess(batch[keys.WINDOWS], seed)
    return {**batch, keys.WINDOWS: windows}

  def _set_trainable(
    self, optimizers: Sequence[optimizers_lib.PartOptimizer]
  ) -> None:
    """A frozen part also keeps its batch norm statistics."""
    trained = {part for options in optimizers for part in options.parts}
    for name, layer in self.embedder.parts.items():
      layer.trainable = name in trained

  def _sum(self, name: str) -> tf.Variable:
    if name not in self._sums:
      with tf.init_scope():
        self._sums[name] = tf.Variable(
          0.0, dtype=tf.float64, trainable=False, name=f"sum_{name}"
        )
    return self._sums[name]


def _variables(
  embedder: tf_keras.Model, parts: Sequence[str]
) -> list[tf.Variable]:
  return [v for p in parts for v in embedder.parts[p].trainable_variables]


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
