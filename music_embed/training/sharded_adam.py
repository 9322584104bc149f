"""Adam (Kingma and Ba 2015) on rows spread over replicas, block by block."""

from __future__ import annotations

import threading
from typing import Any

import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import sharded_label_softmax, sharded_rows
from music_embed.training import optimizers as optimizers_lib

_UNSUPPORTED = (
  "amsgrad",
  "weight_decay",
  "clipnorm",
  "clipvalue",
  "global_clipnorm",
  "use_ema",
)


class _Step(threading.local):
  """One replica's step; replicas of one process are traced in threads."""

  rate: tf.Tensor
  count: tf.Tensor
  squares: tuple[tf.Tensor, ...] = ()


class ShardedAdam(tf.__internal__.tracking.Trackable):
  """tf_keras's Adam, to rounding, for a `ShardedLabelSoftmaxHead`.

  Its slots lie where the head's rows do, and each block is updated in place
  as soon as its gradient is there. Checkpoints hold the slots whole: any
  number of replicas reads them.

  Attributes:
    iterations: int64, updates done.
  """

  def __init__(
    self,
    head: sharded_label_softmax.ShardedLabelSoftmaxHead,
    options: optimizers_lib.PartOptimizer,
  ) -> None:
    """Creates the slots; call in the strategy's scope.

    Args:
      head: built; assign the result to its `updater`.
      options: Adam's options and schedule.

    Raises:
      ConfigError: another optimiser, or an option of Adam's that this one
        lacks.
    """
    self._optimizer = _keras_adam(options)
    self.iterations = tf.Variable(
      0,
      dtype=tf.int64,
      trainable=False,
      name="sharded_adam/iterations",
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
    self._schedule = options.schedule()
    self._dtype = head.kernel.dtype
    self._track_trackable(self.iterations, "iterations")
    self._rows = {"kernel": head.kernel}
    if head.bias is not None:
      self._rows["bias"] = head.bias
    self._slots: dict[str, tuple[sharded_rows.ShardedRows, ...]] = {}
    for name, rows in self._rows.items():
      slots = []
      for moment in ("m", "v"):
        slot = head.new_rows(f"{name}_{moment}", rows.row_shape)
        self._track_trackable(slot, f"{name}_{moment}")
        slots.append(slot)
      self._slots[name] = tuple(slots)
    self._step = _Step()

  @property
  def learning_rate(self) -> tf.Tensor:
    """The next update's rate, a scalar."""
    rate = self._schedule
    if callable(rate):
      step = tf.convert_to_tensor(self.iterations)
      return tf.cast(rate(step), self._dtype)
    return tf.constant(rate, self._dtype)

  def begin_step(self) -> None:
    """Starts an update, in each replica; call it before the objective."""
    self._step.rate = self.learning_rate
    with tf.control_dependencies([self._step.rate]):
      self._step.count = tf.convert_to_tensor(self.iterations.assign_add(1))
    self._step.squares = ()

  def apply(
    self, block: int, d_kernel: tf.Tensor, d_bias: tf.Tensor
  ) -> list[Any]:
    """Updates this replica's block.

    Args:
      block: which one.
      d_kernel: gradient of the global loss, [rows, dim].
      d_bias: likewise, [rows]; not looked at where the head has no bias.

    Returns:
      What to wait for before the block is read again; empty in eager mode.
    """
    done = []
    for name, gradient in (("kernel", d_kernel), ("bias", d_bias)):
      if name in self._rows:
        square = 2.0 * tf.nn.l2_loss(gradient)
        self._step.squares += (square,)
        with tf.control_dependencies([square]):
          done.append(self._apply(name, block, gradient))
    return [operation for operation in done if operation is not None]

  def squared_gradient_norm(self) -> tf.Tensor | None:
    """Of this replica's rows in the step being made; None before one."""
    return tf.add_n(self._step.squares) if self._step.squares else None

  def _apply(self, name: str, block: int, gradient: tf.Tensor) -> Any:
    moment, square = self._slots[name]
    dtype = gradient.dtype
    count = tf.cast(self._step.count, dtype)
    optimizer = self._optimizer
    return tf.raw_ops.ResourceApplyAdam(
      var=self._rows[name].block(block).handle,
      m=moment.block(block).handle,
      v=square.block(block).handle,
      # Keras rounds what it raises to powers to float32, and only that.
      beta1_power=tf.pow(tf.cast(optimizer.beta_1, dtype), count),
      beta2_power=tf.pow(tf.cast(optimizer.beta_2, dtype), count),
      lr=self._step.rate,
      beta1=tf.constant(optimizer.beta_1, dtype),
      beta2=tf.constant(optimizer.beta_2, dtype),
      epsilon=tf.constant(optimizer.epsilon, dtype),
      grad=gradient,
    )


def _keras_adam(options: optimizers_lib.PartOptimizer) -> Any:
  """The Keras optimiser whose options and schedule are taken over.

  Raises:
    ConfigError: it is not a plain Adam.
  """
  optimizer = options.create()
  if type(optimizer) is not tf_keras.optimizers.Adam:
    raise errors.ConfigError(
      f"PartOptimizer.optimizer {options.optimizer!r}: a sharded label head is"
      " trained by 'adam' only"
    )
  used = [name for name in _UNSUPPORTED if getattr(optimizer, name, None)]
  if used:
    raise errors.ConfigError(
      f"PartOptimizer.optimizer_options: {', '.join(used)} is not supported"
      " for a sharded label head"
    )
  return optimizer
