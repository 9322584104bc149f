import math

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.objectives import label_logistic


def _dense(logits: np.ndarray, label_ids: np.ndarray) -> np.ndarray:
  """The same losses with the dense targets that we never make."""
  losses = []
  for row, ids in zip(logits, label_ids, strict=True):
    target = np.zeros(len(row))
    target[[i for i in ids if i >= 0]] = 1.0
    posterior = 1.0 / (1.0 + np.exp(-row))
    likelihood = np.where(target == 1.0, posterior, 1.0 - posterior)
    losses.append(-np.log(likelihood).sum() if target.any() else 0.0)
  return np.asarray(losses)


def _random() -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(18)
  logits = rng.normal(size=(6, 9)) * 3.0
  label_ids = np.full((6, 4), -1, np.int32)
  for row, count in enumerate((1, 4, 0, 2, 3, 0)):
    label_ids[row, :count] = rng.choice(9, count, replace=False)
  return logits, label_ids


def test_the_loss_is_a_sum_of_logistics_by_hand() -> None:
  # Posteriors 3/4, 1/2, 1/3, of which the first two are labels:
  # -(log 3/4 + log 1/2 + log(1 - 1/3)) = -log 1/4 = 2 log 2.
  odds = tf.constant([[3.0, 1.0, 0.5]])
  loss, labelled = label_logistic.cross_entropy(
    tf.math.log(odds), tf.constant([[0, 1, -1]])
  )
  np.testing.assert_allclose(loss, [2.0 * math.log(2.0)], rtol=1e-6)
  assert labelled.numpy().tolist() == [True]


def test_sparse_losses_equal_those_of_dense_targets() -> None:
  logits, label_ids = _random()
  loss, labelled = label_logistic.cross_entropy(tf.constant(logits), label_ids)
  np.testing.assert_allclose(loss, _dense(logits, label_ids), atol=1e-12)
  assert labelled.numpy().tolist() == [True, True, False, True, True, False]


def test_a_labels_gradient_ignores_all_other_labels() -> None:
  logits, label_ids = _random()
  objective = label_logistic.LabelLogisticObjective()
  x = tf.constant(logits)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, metrics = objective.from_logits(x, tf.constant(label_ids))
  assert float(loss) == pytest.approx(_dense(logits, label_ids).sum() / 4)
  assert float(metrics["labelled"]) == pytest.approx(4 / 6)
  targets = np.zeros_like(logits)
  for row, ids in enumerate(label_ids):
    targets[row, ids[ids >= 0]] = 1.0
  expected = (1.0 / (1.0 + np.exp(-logits)) - targets) / 4.0
  expected[[2, 5]] = 0.0  # No labels.
  np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=1e-12)
  assert set(metrics) == set(objective.metric_names)


def test_huge_logits_stay_finite() -> None:
  loss, _ = label_logistic.cross_entropy(
    tf.constant([[1e4, -1e4]]), tf.constant([[1]])
  )
  np.testing.assert_allclose(loss, [2e4])


def test_an_unknown_reduction_is_refused_by_its_own_name() -> None:
  with pytest.raises(errors.ConfigError, match="LabelLogisticObjective"):
    label_logistic.LabelLogisticObjective(reduction="max")
