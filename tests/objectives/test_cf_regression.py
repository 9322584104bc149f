import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.objectives import cf_regression


def test_the_loss_and_its_measures_are_those_worked_out_by_hand() -> None:
  # Errors (1, 0) and (0, 2): squared 1 and 4, mean 5/2. The targets' mean is
  # (1, 2), from which they are 1 + 4 away each: 1 - 5 / 10 is explained.
  predicted = tf.constant([[1.0, 0.0], [2.0, 2.0]])
  target = tf.constant([[0.0, 0.0], [2.0, 4.0]])
  objective = cf_regression.CfRegressionObjective()
  loss, metrics = objective.from_vectors(predicted, target)
  assert float(loss) == pytest.approx(2.5)
  assert set(metrics) == set(objective.metric_names)
  assert float(metrics["explained_variance"]) == pytest.approx(0.5)
  # (2, 2) and (2, 4): 12 / sqrt(8 * 20); the zero target counts as 0.
  assert float(metrics["cosine"]) == pytest.approx(6.0 / np.sqrt(160.0))
  assert float(metrics["predicted_norm"]) == pytest.approx((1.0 + 8.0) / 2.0)
  assert float(metrics["target_norm"]) == pytest.approx(20.0 / 2.0)


def test_a_sum_is_the_mean_times_the_batch() -> None:
  rng = np.random.default_rng(0)
  predicted, target = tf.constant(rng.normal(size=(2, 5, 3)))
  losses = [
    float(
      cf_regression.CfRegressionObjective(reduction=reduction).from_vectors(
        predicted, target
      )[0]
    )
    for reduction in ("sum", "mean")
  ]
  assert losses[0] == pytest.approx(5.0 * losses[1])


def test_half_precision_is_cast_up_and_double_kept() -> None:
  target = tf.zeros([2, 3], tf.float32)
  objective = cf_regression.CfRegressionObjective()
  for dtype, expected in (
    (tf.bfloat16, tf.float32),
    (tf.float64, tf.float64),
  ):
    loss, metrics = objective.from_vectors(tf.ones([2, 3], dtype), target)
    assert {loss.dtype, *(m.dtype for m in metrics.values())} == {expected}
    assert float(loss) == 3.0


def test_an_unknown_reduction_is_refused() -> None:
  with pytest.raises(errors.ConfigError, match="reduction='max': sum or mean"):
    cf_regression.CfRegressionObjective(reduction="max")
