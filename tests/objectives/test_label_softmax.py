import math

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.models import embedder
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import projection
from music_embed.objectives import label_softmax


def _dense(logits: np.ndarray, label_ids: np.ndarray) -> np.ndarray:
  """Eq. 2 with the dense l1-normalised targets that we never make."""
  losses = []
  for row, ids in zip(logits, label_ids, strict=True):
    present = [i for i in ids if i >= 0]
    target = np.zeros(len(row))
    for i in present:
      target[i] += 1.0 / len(present)
    log_posterior = row - np.log(np.exp(row).sum())
    losses.append(-(target * log_posterior).sum())
  return np.asarray(losses)


def _random() -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(8)
  logits = rng.normal(size=(6, 9)) * 3.0
  label_ids = np.full((6, 4), -1, np.int32)
  for row, count in enumerate((1, 4, 0, 2, 3, 0)):
    label_ids[row, :count] = rng.choice(9, count, replace=False)
  return logits, label_ids


def test_the_loss_is_eq_2_by_hand() -> None:
  # Posteriors 1/4, 1/2, 1/4: -(log 1/4 + log 1/2)/2 = 1.5 log 2.
  logits = tf.math.log([[1.0, 2.0, 1.0]])
  loss, labelled = label_softmax.cross_entropy(
    logits, tf.constant([[0, 1, -1]])
  )
  np.testing.assert_allclose(loss, [1.5 * math.log(2.0)], rtol=1e-6)
  assert labelled.numpy().tolist() == [True]


def test_sparse_losses_equal_those_of_dense_targets() -> None:
  logits, label_ids = _random()
  loss, labelled = label_softmax.cross_entropy(tf.constant(logits), label_ids)
  np.testing.assert_allclose(loss, _dense(logits, label_ids), atol=1e-12)
  assert labelled.numpy().tolist() == [True, True, False, True, True, False]


def test_windows_without_labels_count_for_nothing() -> None:
  logits, label_ids = _random()
  objective = label_softmax.LabelSoftmaxObjective()
  x = tf.constant(logits)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, metrics = objective.from_logits(x, tf.constant(label_ids))
  assert float(loss) == pytest.approx(_dense(logits, label_ids).sum() / 4)
  assert float(metrics["labelled"]) == pytest.approx(4 / 6)
  gradient = tape.gradient(loss, x).numpy()
  assert (gradient[[2, 5]] == 0.0).all()
  total, _ = label_softmax.LabelSoftmaxObjective(reduction="sum").from_logits(
    x, tf.constant(label_ids)
  )
  assert float(total) == pytest.approx(4 * float(loss))


def test_a_batch_without_any_label_has_zero_loss_and_gradient() -> None:
  x = tf.zeros([3, 5])
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, metrics = label_softmax.LabelSoftmaxObjective().from_logits(
      x, tf.fill([3, 2], -1)
    )
  assert float(loss) == 0.0
  assert float(metrics["top_label_hit"]) == 0.0
  np.testing.assert_array_equal(tape.gradient(loss, x), np.zeros([3, 5]))


def test_the_gradient_is_posterior_minus_target() -> None:
  logits, label_ids = _random()
  x = tf.constant(logits)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, _ = label_softmax.cross_entropy(x, label_ids)
  gradient = tape.gradient(loss, x).numpy()
  for row in (0, 1, 3, 4):
    present = label_ids[row][label_ids[row] >= 0]
    target = np.zeros(9)
    target[present] = 1.0 / len(present)
    posterior = np.exp(logits[row]) / np.exp(logits[row]).sum()
    np.testing.assert_allclose(gradient[row], posterior - target, atol=1e-12)


def test_top_label_hit_counts_labelled_windows_only() -> None:
  logits = tf.constant([[0.0, 3.0, 1.0], [5.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
  label_ids = tf.constant([[1, 2], [2, -1], [-1, -1]])
  _, metrics = label_softmax.LabelSoftmaxObjective().from_logits(
    logits, label_ids
  )
  assert float(metrics["top_label_hit"]) == pytest.approx(1 / 2)


def test_half_precision_logits_give_a_float32_loss() -> None:
  logits, label_ids = _random()
  loss, _ = label_softmax.cross_entropy(
    tf.cast(logits, tf.bfloat16), tf.constant(label_ids)
  )
  assert loss.dtype == tf.float32


def test_the_label_loss_compiles_with_its_gradient() -> None:
  logits, label_ids = _random()
  objective = label_softmax.LabelSoftmaxObjective()

  def run(x, ids):
    with tf.GradientTape() as tape:
      tape.watch(x)
      loss, _ = objective.from_logits(x, ids)
    return loss, tape.gradient(loss, x)

  x, ids = tf.constant(logits), tf.constant(label_ids)
  compiled = tf.function(run, jit_compile=True)(x, ids)
  for a, b in zip(compiled, run(x, ids), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_network_without_label_head_is_refused() -> None:
  model = embedder.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.1),
    projection=projection.Projection(dim=4),
  )
  with pytest.raises(errors.ConfigError, match="needs a label head"):
    label_softmax.LabelSoftmaxObjective()(
      model,
      {"windows": tf.zeros([1, 300, 64]), "label_ids": tf.zeros([1, 1])},
      training=True,
    )


def test_unknown_reduction_is_named() -> None:
  with pytest.raises(errors.ConfigError, match="reduction='max'"):
    label_softmax.LabelSoftmaxObjective(reduction="max")
