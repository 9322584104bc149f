import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import errors, keys
from music_embed.models import embedder, inference
from music_embed.models.heads import cf_regression, projection


class _Features(tf_keras.layers.Layer):
  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    return tf.reshape(log_mel, [-1, 4 * 3])


def _model(head: cf_regression.CfRegressionHead) -> embedder.Embedder:
  tf_keras.utils.set_random_seed(4)
  return embedder.Embedder(
    backbone=_Features(),
    projection=projection.Projection(dim=5),
    cf_head=head,
  )


def test_a_recordings_vector_is_the_mean_over_its_windows() -> None:
  model = _model(cf_regression.CfRegressionHead(num_factors=6))
  rng = np.random.default_rng(5)
  recordings = [
    rng.normal(size=(windows, 4, 3)).astype(np.float32)
    for windows in (3, 1, 11)
  ]
  model(recordings[0], training=False)
  model.cf_head.bias.assign(rng.normal(size=6))
  found = inference.RecordingEmbedder(model, batch_windows=4)(recordings)
  for row, windows in enumerate(recordings):
    outputs = model(windows, training=False)[keys.CF_VECTOR].numpy()
    np.testing.assert_allclose(
      found.cf_vectors[row], outputs.mean(axis=0), atol=1e-6
    )
  assert found.cf_vectors.dtype == np.float32
  assert list(model.parts) == ["backbone", "projection", "cf_head"]


def test_replicas_give_the_same_vectors(mirrored) -> None:
  strategy = mirrored(2)
  windows = np.random.default_rng(6).normal(size=(3, 2, 4, 3))
  recordings = list(windows.astype(np.float32))
  with strategy.scope():
    spread = _model(cf_regression.CfRegressionHead(num_factors=6))
    spread(recordings[0], training=False)
  alone = _model(cf_regression.CfRegressionHead(num_factors=6))
  alone(recordings[0], training=False)
  alone.set_weights(spread.get_weights())
  found = inference.RecordingEmbedder(
    spread, batch_windows=4, strategy=strategy
  )(recordings)
  expected = inference.RecordingEmbedder(alone, batch_windows=4)(recordings)
  np.testing.assert_allclose(found.cf_vectors, expected.cf_vectors, atol=1e-6)


def test_the_width_is_taken_once_and_another_refused() -> None:
  head = cf_regression.CfRegressionHead()
  with pytest.raises(errors.ConfigError, match="num_factors is not set"):
    head(tf.zeros([1, 5]))
  head.set_num_factors(7)
  assert head(tf.zeros([1, 5])).shape == (1, 7)
  with pytest.raises(errors.ConfigError, match=r"is 7, .* have 8 dimensions"):
    head.set_num_factors(8)


def test_a_half_precision_policy_leaves_the_head_in_float32(floatx) -> None:
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  try:
    model = _model(cf_regression.CfRegressionHead(num_factors=2))
    outputs = model(tf.zeros([1, 4, 3]), training=False)
  finally:
    floatx("float32")
  assert outputs[keys.CF_VECTOR].dtype == tf.float32
