import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.models import batch_norm


def _reference(x: np.ndarray, epsilon: float = 1e-3) -> np.ndarray:
  flat = x.reshape(-1, x.shape[-1])
  mean, variance = flat.mean(0), flat.var(0)
  return (x - mean) / np.sqrt(variance + epsilon)


def _input(dtype: str = "float32") -> np.ndarray:
  rng = np.random.default_rng(0)
  return (rng.normal(size=(8, 3, 2, 5)) * 2.0 + 1.0).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_output_and_moving_moments_are_those_of_the_batch(
  dtype: str, floatx
) -> None:
  floatx(dtype)
  x = _input(dtype)
  layer = batch_norm.BatchNorm(momentum=0.9)
  y = layer(x, training=True)
  assert y.dtype == dtype
  np.testing.assert_allclose(y, _reference(x), atol=1e-5)
  flat = x.reshape(-1, 5)
  np.testing.assert_allclose(layer.moving_mean, 0.1 * flat.mean(0), rtol=1e-5)
  # The population variance: no n/(n-1), which the fused kernel puts in.
  np.testing.assert_allclose(
    layer.moving_variance, 0.9 + 0.1 * flat.var(0), rtol=1e-5
  )


def test_inference_uses_the_moving_moments_alone() -> None:
  layer = batch_norm.BatchNorm(momentum=0.5)
  x = _input()
  layer(x, training=True)
  alone = layer(x[:1], training=False)
  together = layer(x, training=False)
  np.testing.assert_allclose(alone[0], together[0], rtol=1e-6)
  mean = 0.5 * x.reshape(-1, 5).mean(0)
  variance = 0.5 + 0.5 * x.reshape(-1, 5).var(0)
  np.testing.assert_allclose(
    together, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_normalise_by_the_global_batch(
  num_replicas: int, mirrored
) -> None:
  x = _input()
  single = batch_norm.BatchNorm(momentum=0.9)
  expected = single(x, training=True).numpy()
  strategy = mirrored(num_replicas)
  with strategy.scope():
    layer = batch_norm.BatchNorm(momentum=0.9)
    layer.build(tf.TensorShape(x.shape))
  parts = np.split(x, num_replicas)
  values = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(parts[context.replica_id_in_sync_group])
  )

  @tf.function
  def run(values):
    return strategy.run(lambda v: layer(v, training=True), (values,))

  results = strategy.experimental_local_results(run(values))
  np.testing.assert_allclose(np.concatenate(results), expected, atol=4e-6)
  np.testing.assert_allclose(
    layer.moving_variance, single.moving_variance, rtol=1e-5
  )


def test_fused_and_plain_paths_have_equal_gradients(floatx) -> None:
  weights = np.random.default_rng(1).normal(size=(8, 3, 2, 5))
  gradients = []
  for dtype in ("float32", "float64"):  # Fused and plain.
    floatx(dtype)
    layer = batch_norm.BatchNorm()
    x = tf.constant(_input(dtype))
    with tf.GradientTape() as tape:
      tape.watch(x)
      loss = tf.reduce_sum(layer(x, training=True) * weights.astype(dtype))
    gradients.append(tape.gradient(loss, [x, layer.gamma, layer.beta]))
  for fused, plain in zip(*gradients, strict=True):
    np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-5)


def test_bfloat16_activations_keep_float32_moments(floatx) -> None:
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  layer = batch_norm.BatchNorm(momentum=0.0)
  x = tf.cast(_input(), tf.bfloat16)
  y = layer(x, training=True)
  assert y.dtype == tf.bfloat16
  flat = tf.cast(x, tf.float32).numpy().reshape(-1, 5)
  assert layer.moving_mean.dtype == tf.float32
  np.testing.assert_allclose(layer.moving_mean, flat.mean(0), rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_is_rounded_once_where_replicas_share_the_moments(
  training: bool, mirrored, floatx
) -> None:
  """A mean of 100 deviations: in bfloat16 its removal would leave nothing."""
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  x = tf.cast(_input() + 200.0, tf.bfloat16)
  flat = tf.cast(x, tf.float32).numpy().reshape(-1, 5)
  strategy = mirrored(2)
  with strategy.scope():
    layer = batch_norm.BatchNorm()
    layer.build(tf.TensorShape(x.shape))
    layer.moving_mean.assign(flat.mean(0))
    layer.moving_variance.assign(flat.var(0))
  parts = tf.split(x, 2)
  values = strategy.experimental_distribute_values_from_function(
    lambda context: parts[context.replica_id_in_sync_group]
  )

  @tf.function
  def run(values):
    return strategy.run(lambda v: layer(v, training=training), (values,))

  results = strategy.experimental_local_results(run(values))
  y = tf.cast(tf.concat(results, 0), tf.float32)
  np.testing.assert_allclose(y, _reference(flat).reshape(x.shape), atol=0.02)
