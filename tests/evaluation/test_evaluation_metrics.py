"""Tests of music_embed.evaluation.metrics."""

import math

import numpy as np
import pytest
import sklearn.metrics

from music_embed.evaluation import metrics


def _tied_problem(seed: int):
  random = np.random.default_rng(seed)
  scores = np.round(random.standard_normal(60), 1)
  positive = random.random(60) < 0.3
  weights = random.integers(0, 4, (60, 7)).astype(np.float64)
  return positive, scores, weights


def test_measures_equal_hand_arithmetic():
  # Ranks of the positives: 1 and 3, so AP = (1/1 + 2/3) / 2 = 5/6; of the four
  # positive-negative pairs three are in order, so AUC = 3/4.
  positive = np.array([True, False, True, False])
  measured = metrics.measures(positive, np.array([4.0, 3.0, 2.0, 1.0]))
  assert measured.ap == pytest.approx(5 / 6)
  assert measured.auc == pytest.approx(3 / 4)


@pytest.mark.parametrize("value", [True, False])
def test_one_class_alone_gives_nan(value):
  measured = metrics.measures(np.full(3, value), np.arange(3.0))
  assert math.isnan(measured.ap)
  assert math.isnan(measured.auc)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_measures_equal_scikit_learns(seed):
  positive, scores, weights = _tied_problem(seed)
  ap, auc = metrics.Ranking.of(positive, scores).weighted(weights)
  for replicate in range(weights.shape[1]):
    sample_weight = weights[:, replicate]
    assert ap[replicate] == pytest.approx(
      sklearn.metrics.average_precision_score(
        positive, scores, sample_weight=sample_weight
      ),
      abs=1e-12,
    )
    assert auc[replicate] == pytest.approx(
      sklearn.metrics.roc_auc_score(
        positive, scores, sample_weight=sample_weight
      ),
      abs=1e-12,
    )


def test_unit_weights_give_the_plain_measures():
  positive, scores, _ = _tied_problem(9)
  plain = metrics.measures(positive, scores)
  ap, auc = metrics.Ranking.of(positive, scores).weighted(np.ones((60, 1)))
  np.testing.assert_allclose([ap[0], auc[0]], [plain.ap, plain.auc])


def test_weighted_by_integers_equals_repeating_items():
  positive, scores, weights = _tied_problem(3)
  times = weights[:, 0].astype(int)
  repeated = metrics.measures(
    np.repeat(positive, times), np.repeat(scores, times)
  )
  ap, auc = metrics.Ranking.of(positive, scores).weighted(weights[:, :1])
  np.testing.assert_allclose([ap[0], auc[0]], [repeated.ap, repeated.auc])


def test_a_resample_without_positives_is_nan_and_leaves_others_alone():
  positive = np.array([True, False, False])
  scores = np.array([3.0, 2.0, 1.0])
  weights = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 2.0]])
  ap, auc = metrics.Ranking.of(positive, scores).weighted(weights)
  assert np.isnan([ap[0], auc[0]]).all()
  np.testing.assert_array_equal([ap[1], auc[1]], [1.0, 1.0])
