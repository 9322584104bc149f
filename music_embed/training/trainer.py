"""The inner step of training, as an orbit trainer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf
import tf_keras

from music_embed.core import errors, keys
from music_embed.training import optimizers as optimizers_lib
from music_embed.training import sharded_adam
from music_embed.training import task as task_lib

Batch = Mapping[str, tf.Tensor]
Preprocess = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, int], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class _Group:
  """One optimiser with the variables that it is handed gradients for.

  Attributes:
    parts: names of the parts that it trains.
    variables: of each part, in the same order.
    optimizer: a Keras optimiser.
  """

  parts: tuple[str, ...]
  variables: tuple[list[tf.Variable], ...]
  optimizer: tf_keras.optimizers.Optimizer


class Trainer(orbit.StandardTrainer):
  """Minimises the weighted sum of a stage's task losses.

  Every objective returns its replica's contribution, so that the sum over
  replicas is the loss of the global batch; gradients are summed likewise. A
  part that updates itself (a sharded label head) gets its optimiser attached
  and takes no gradient from here.

  Attributes:
    embedder: the network.
    global_step: int64, steps done.
    metric_names: what `take_sums` gives, known before the first step.
    sums: [metrics + 1], running sums of the metrics and, last, of steps, to
      which each replica adds its share; it adds to its own sums, so no step
      waits for another, and they go on on another number of replicas.
  """

  def __init__(
    self,
    *,
    embedder: tf_keras.Model,
    tasks: Sequence[task_lib.Task],
    optimizers: Sequence[optimizers_lib.PartOptimizer],
    preprocess: Preprocess,
    seed: int,
    jit_compile: bool = False,
  ):
    """Creates optimisers; call inside the strategy's scope.

    Args:
      embedder: the built network.
      tasks: terms of the loss.
      optimizers: by parts; parts without one are frozen.
      preprocess: (stored windows `[..., *window_shape]`, int32 seed `[2]`,
        int32 replica, number of replicas) -> float windows, on the device.
      seed: of the augmentation.
      jit_compile: whether XLA compiles the step; of one replica only, since
        TPUs do so anyway.

    Raises:
      ConfigError: parts, optimisers and tasks do not fit each other, or XLA
        is asked for on several replicas.
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
    self._num_replicas = self._strategy.num_replicas_in_sync
    if jit_compile and self._num_replicas > 1:
      raise errors.ConfigError(
        f"jit_compile compiles the step of one replica, not of "
        f"{self._num_replicas}: leave it off for this strategy"
      )
    self._jit_compile = jit_compile
    self._tasks = tuple(tasks)
    self._preprocess = preprocess
    self._seed = seed
    used = {part for task in tasks for part in task.objective.parts}
    optimizers_lib.check_parts(optimizers, embedder.parts, used)
    self._set_trainable(optimizers)
    self._groups: list[_Group] = []
    self._updaters: dict[str, Any] = {}
    for options in optimizers:
      self._add_optimizer(options)
    self.metric_names = self._metric_names()
    self.sums = tf.Variable(
      tf.zeros([len(self.metric_names) + 1], _variable_dtype()),
      trainable=False,
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.SUM,
      name="sums",
    )
    super().__init__(train_dataset=None)

  @property
  def optimizers(self) -> list[Any]:
    """The optimisers: Keras's, then those of parts that update themselves."""
    return [group.optimizer for group in self._groups] + [
      *self._updaters.values()
    ]

  def learning_rates(self) -> dict[str, float]:
    """Present learning rates by "learning_rate/<parts>"."""
    rates = {
      "+".join(group.parts): group.optimizer.learning_rate
      for group in self._groups
    }
    for part, updater in self._updaters.items():
      rates[part] = updater.learning_rate
    return {
      f"learning_rate/{name}": float(tf.convert_to_tensor(rate).numpy())
      for name, rate in rates.items()
    }

  @functools.cached_property
  def stop_request(self) -> tf.Variable:
    """bool on the host: once true, a loop ends after the step it is at.

    Several processes don't look at it: they would end at different steps.
    """
    return self._on_host(False, "stop_request")

  @functools.cached_property
  def input_wait_s(self) -> tf.Variable:
    """float64 seconds that this process's steps have waited for batches.

    From the end of a step until the next batch is there. On an accelerator
    a step ends for the host when it is queued: an upper bound there.
    """
    return self._on_host(tf.constant(0.0, tf.float64), "input_wait_s")

  def set_dataset(self, dataset: Any) -> None:
    """Sets the distributed dataset of batch tuples, one batch per task."""
    self._train_dataset = dataset
    self._train_iter = None

  def take_sums(self) -> dict[str, float]:
    """Means of the metrics since the last call; then begins anew.

    Every process of the strategy must call it.
    """
    with self._strategy.scope():
      *totals, count = tf.convert_to_tensor(self.sums).numpy().tolist()
      self.sums.assign(tf.zeros_like(self.sums))
    steps = max(count, 1.0)
    return {
      name: total / steps
      for name, total in zip(self.metric_names, totals, strict=True)
    }

  def train_loop_begin(self) -> None:
    """Nothing: sums go over the boundaries of loops."""

  def train_loop_end(self) -> dict[str, float]:
    """Nothing: see `take_sums`."""
    return {}

  def create_train_loop_fn(self) -> Callable[[Any, tf.Tensor], None]:
    """A loop inside TensorFlow that a stop request ends early."""
    stop = self.stop_request
    listens = not isinstance(
      self._strategy, tf.distribute.MultiWorkerMirroredStrategy
    )
    _ = self.input_wait_s  # Variables come before the trace.

    def loop(iterator: Any, num_steps: tf.Tensor) -> None:
      def go_on(done: tf.Tensor) -> tf.Tensor:
        if not listens:
          return done < num_steps
        return tf.logical_and(done < num_steps, tf.logical_not(stop))

      def body(done: tf.Tensor) -> tuple[tf.Tensor]:
        self.train_step(iterator)
        return (done + 1,)

      tf.while_loop(go_on, body, [tf.constant(0)])

    return tf.function(loop)

  def train_step(self, iterator: Any) -> None:
    """Runs one step of every replica."""
    with tf.control_dependencies([self.global_step.read_value()]):
      idle_from = tf.timestamp()
    batches = next(iterator)
    with tf.control_dependencies([idle_from, *self._local(batches)]):
      self.input_wait_s.assign_add(tf.timestamp() - idle_from)
    metrics = self._strategy.run(self.step_function, args=(batches,))
    with tf.control_dependencies(self._local(metrics)):
      self.global_step.assign_add(1)

  @functools.cached_property
  def step_function(self) -> Callable[[Sequence[Batch]], tf.Tensor]:
    """`replica_step`, compiled by XLA where that was asked for."""
    if not self._jit_compile:
      return self.replica_step
    return tf.function(self.replica_step, jit_compile=True)

  def replica_step(self, batches: Sequence[Batch]) -> tf.Tensor:
    """One replica's part of a step, in replica context.

    Args:
      batches: this replica's slice of each task's batch, as stored.

    Returns:
      Its shares of the metrics, [metrics], in the order of `metric_names`.
    """
    metrics: dict[str, tf.Tensor] = {}
    for updater in self._updaters.values():
      updater.begin_step()
    with tf.GradientTape() as tape:
      total = tf.zeros([], self.sums.dtype)
      for index, (task, batch) in enumerate(
        zip(self._tasks, batches, strict=True)
      ):
        loss, values = task.objective(
          self.embedder,
          self._prepared(batch, index),
          training=True,
          weight=task.weight,
        )
        total += task.weight * tf.cast(loss, total.dtype)
        name = task.objective.name
        metrics[f"{name}/loss"] = loss
        metrics.update({f"{name}/{k}": v for k, v in values.items()})
    metrics |= self._apply(tape, total)
    shares = tf.stack(
      [tf.cast(metrics[name], self.sums.dtype) for name in self.metric_names]
    )
    step = tf.ones_like(shares[:1]) / self._num_replicas
    self.sums.assign_add(tf.concat([shares, step], axis=0))
    return shares

  def _apply(
    self, tape: tf.GradientTape, total: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    """Sums gradients over replicas, applies them, and gives their norms."""
    gradients = tape.gradient(
      total, [group.variables for group in self._groups]
    )
    squares = {
      part: updater.squared_gradient_norm()
      for part, updater in self._updaters.items()
    }
    gradients, squares = self._summed((gradients, squares))
    for group, own in zip(self._groups, gradients, strict=True):
      for part, values in zip(group.parts, own, strict=True):
        squares[part] = tf.add_n([tf.reduce_sum(tf.square(v)) for v in values])
      group.optimizer.apply_gradients(
        zip(
          tf.nest.flatten(own), tf.nest.flatten(group.variables), strict=True
        ),
        experimental_aggregate_gradients=False,  # They are summed already.
      )
    return {
      f"gradient_norm/{part}": tf.sqrt(square) / self._num_replicas
      for part, square in squares.items()
    }

  def _summed(self, values: Any) -> Any:
    """Sums tensors over replicas, all in one exchange."""
    values = tf.nest.map_structure(tf.convert_to_tensor, values)
    if self._num_replicas == 1:
      return values
    flat = tf.distribute.get_replica_context().all_reduce(
      tf.distribute.ReduceOp.SUM, tf.nest.flatten(values)
    )
    return tf.nest.pack_sequence_as(values, flat)

  def _prepared(self, batch: Batch, index: int) -> dict[str, tf.Tensor]:
    """The batch with float windows; augmented alike on any replicas."""
    if keys.WINDOWS not in batch:
      return dict(batch)
    context = tf.distribute.get_replica_context()
    seed = tf.random.experimental.stateless_fold_in(
      tf.stack([self._seed, tf.cast(self.global_step, tf.int32)]), index
    )
    windows = self._preprocess(
      batch[keys.WINDOWS],
      seed,
      tf.cast(context.replica_id_in_sync_group, tf.int32),
      self._num_replicas,
    )
    return {**batch, keys.WINDOWS: windows}

  def _set_trainable(
    self, optimizers: Sequence[optimizers_lib.PartOptimizer]
  ) -> None:
    """A frozen part also keeps its batch norm statistics."""
    trained = {part for options in optimizers for part in options.parts}
    for name, layer in self.embedder.parts.items():
      layer.trainable = name in trained
      if hasattr(layer, "updater"):
        layer.updater = None

  def _add_optimizer(self, options: optimizers_lib.PartOptimizer) -> None:
    parts = self.embedder.parts
    own = [name for name in options.parts if hasattr(parts[name], "updater")]
    for name in own:
      updater = sharded_adam.ShardedAdam(parts[name], options)
      parts[name].updater = self._updaters[name] = updater
    rest = tuple(name for name in options.parts if name not in own)
    if not rest:
      return
    group = _Group(
      rest,
      tuple(parts[name].trainable_variables for name in rest),
      options.create(),
    )
    group.optimizer.build(tf.nest.flatten(group.variables))
    self._groups.append(group)

  def _metric_names(self) -> tuple[str, ...]:
    names = []
    for task in self._tasks:
      own = ("loss", *task.objective.metric_names)
      names += [f"{task.objective.name}/{metric}" for metric in own]
    trained = [part for group in self._groups for part in group.parts]
    return (
      *names,
      *(f"gradient_norm/{p}" for p in [*trained, *self._updaters]),
    )

  def _local(self, values: Any) -> list[tf.Tensor]:
    """Every tensor of this process's replicas."""
    return [
      tensor
      for value in tf.nest.flatten(values)
      for tensor in self._strategy.experimental_local_results(value)
    ]

  def _on_host(self, value: Any, name: str) -> tf.Variable:
    """A variable of this process, outside the strategy."""
    with tf.init_scope(), tf.device("CPU:0"):
      return tf.Variable(value, trainable=False, name=name)


def _variable_dtype() -> tf.DType:
  policy = tf_keras.mixed_precision.global_policy()
  return tf.as_dtype(policy.variable_dtype)
