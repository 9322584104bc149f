"""Exchange between replicas, in replica context."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def num_replicas() -> int:
  """Replicas that train in sync under the current strategy."""
  return tf.distribute.get_strategy().num_replicas_in_sync


def _dense_gradient(
  x: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
  """Identity: the gradient of a gather is sparse, collectives need it dense."""
  return tf.identity(x), tf.convert_to_tensor


def gather(x: tf.Tensor) -> tf.Tensor:
  """Concatenates a tensor over replicas, in their order; differentiable.

  The gradient is right when each replica's loss is its *share* of the global
  loss: gradients that reach the gathered rows are summed over replicas.

  Args:
    x: [batch, ...], the same static batch on each replica.

  Returns:
    [batch * replicas, ...]; `x` itself where there is one replica.
  """
  replicas = num_replicas()
  if replicas == 1:
    return x
  context = tf.distribute.get_replica_context()
  # A collective cannot take a function's argument directly.
  gathered = tf.custom_gradient(_dense_gradient)(
    context.all_gather(tf.identity(x), axis=0)
  )
  return tf.ensure_shape(
    gathered,
    [None if x.shape[0] is None else x.shape[0] * replicas]
    + x.shape[1:].as_list(),
  )


def total(x: tf.Tensor) -> tf.Tensor:
  """Sum over replicas of a scalar that carries no gradient."""
  return tf.reduce_sum(gather(tf.stop_gradient(x)[tf.newaxis]))
