import numpy as np
import tensorflow as tf

from music_embed.objectives import distances


def test_squared_distances_are_those_worked_out_by_hand() -> None:
  a = tf.constant([[1.0, 0.0], [0.6, 0.8]])
  b = tf.constant([[0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
  # (1,0)-(0,1): 1+1 = 2; (1,0)-(.6,.8): .16+.64 = .8; (1,0)-(-1,0): 4;
  # (.6,.8)-(0,1): .36+.04 = .4; itself: 0; (.6,.8)-(-1,0): 2.56+.64 = 3.2.
  np.testing.assert_allclose(
    distances.pairwise_squared(a, b),
    [[2.0, 0.8, 4.0], [0.4, 0.0, 3.2]],
    atol=1e-6,
  )
  np.testing.assert_allclose(distances.squared(a, b[:2]), [2.0, 0.0], atol=1e-7)


def test_half_precision_is_cast_up_and_float64_kept() -> None:
  half = tf.constant([[0.1, 0.2]], tf.bfloat16)
  assert distances.pairwise_squared(half, half).dtype == tf.float32
  assert distances.squared(half, half).dtype == tf.float32
  double = tf.constant([[0.1, 0.2]], tf.float64)
  assert distances.pairwise_squared(double, double).dtype == tf.float64


def test_the_gradient_at_equal_rows_is_zero_and_not_nan() -> None:
  x = tf.constant([[0.6, 0.8]])
  with tf.GradientTape() as tape:
    tape.watch(x)
    distance = distances.squared(x, tf.constant([[0.6, 0.8]]))
  np.testing.assert_array_equal(tape.gradient(distance, x), [[0.0, 0.0]])
