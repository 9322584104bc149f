import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models.heads import label_softmax, projection


def _features() -> tf.Tensor:
  return tf.constant(np.random.default_rng(3).normal(size=(4, 6)), tf.float32)


def test_projection_is_a_dense_layer_of_unit_norm() -> None:
  head = projection.Projection(dim=3)
  result = head(_features())
  dense = _features() @ head.dense.kernel + head.dense.bias
  expected = dense / np.linalg.norm(dense, axis=1, keepdims=True)
  np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_projection_can_leave_the_norm_alone() -> None:
  head = projection.Projection(dim=3, normalize=False)
  result = head(_features())
  dense = _features() @ head.dense.kernel + head.dense.bias
  np.testing.assert_allclose(result, dense, rtol=1e-6)


def test_a_zero_feature_vector_has_a_finite_gradient() -> None:
  head = projection.Projection(dim=3)
  x = tf.zeros([1, 6])
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss = tf.reduce_sum(head(x))
  assert np.isfinite(tape.gradient(loss, x)).all()


def test_logits_are_products_with_the_labels_rows() -> None:
  head = label_softmax.LabelSoftmaxHead(num_labels=5)
  logits = head(_features())
  assert head.kernel.shape == (5, 6)
  head.bias.assign(np.arange(5))
  expected = _features().numpy() @ head.kernel.numpy().T
  np.testing.assert_allclose(logits, expected, atol=1e-6)
  np.testing.assert_allclose(
    head(_features()), expected + np.arange(5), atol=1e-6
  )
  rows = head.kernel.numpy()
  np.testing.assert_allclose(
    head.label_embeddings(),
    rows / np.linalg.norm(rows, axis=1, keepdims=True),
    rtol=1e-5,
  )


def test_the_vocabulary_size_may_come_later_but_not_change() -> None:
  head = label_softmax.LabelSoftmaxHead()
  with pytest.raises(errors.ConfigError, match="num_labels is not set"):
    head(_features())
  head = label_softmax.LabelSoftmaxHead(use_bias=False)
  head.set_num_labels(4)
  assert head(_features()).shape == (4, 4)
  with pytest.raises(errors.ConfigError, match="4 labels.*vocabulary 9"):
    head.set_num_labels(9)


def test_heads_stay_in_float32_under_half_precision(floatx) -> None:
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  head = projection.Projection(dim=3)
  embedding = head(tf.cast(_features(), tf.bfloat16))
  assert embedding.dtype == tf.float32
  norm = np.linalg.norm(embedding, axis=1)
  np.testing.assert_allclose(norm, 1.0, rtol=1e-6)
  labels = label_softmax.LabelSoftmaxHead(num_labels=5)
  assert labels(embedding).dtype == tf.float32
