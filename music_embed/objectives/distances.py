"""Squared l2 distances, in at least float32, without square roots."""

from __future__ import annotations

import tensorflow as tf


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
  """Casts half precision up; float32 and float64 stay as they are."""
  return x if x.dtype in (tf.float32, tf.float64) else tf.cast(x, tf.float32)


def squared(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Squared l2 distance of matching rows.

  Args:
    a: [..., dim].
    b: [..., dim].

  Returns:
    [...], from differences: exact zero for equal rows, gradient zero there.
  """
  difference = at_least_float32(a) - at_least_float32(b)
  return tf.reduce_sum(tf.square(difference), axis=-1)


def pairwise_squared(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Squared l2 distances of all rows of `a` to all rows of `b`.

  Args:
    a: [n, dim].
    b: [m, dim].

  Returns:
    [n, m], from one matrix product; never below zero.
  """
  a, b = at_least_float32(a), at_least_float32(b)
  norms_a = tf.reduce_sum(tf.square(a), axis=1)[:, tf.newaxis]
  norms_b = tf.reduce_sum(tf.square(b), axis=1)[tf.newaxis, :]
  products = tf.matmul(a, b, transpose_b=True)
  return tf.maximum(norms_a - 2.0 * products + norms_b, 0.0)
