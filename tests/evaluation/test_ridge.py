"""Tests of music_embed.evaluation.ridge."""

import numpy as np
import scipy.sparse
import sklearn.linear_model

from music_embed.evaluation import ridge


def _problem():
  random = np.random.default_rng(1)
  inputs = random.standard_normal((50, 6)) * np.arange(1, 7) + 3.0
  targets = (random.random((50, 4)) < 0.3).astype(np.float64)
  return inputs, targets


def test_every_strength_equals_scikit_learns_ridge():
  inputs, targets = _problem()
  unit = len(inputs) * inputs.var(axis=0).mean()
  for strength, linear in zip(
    ridge.STRENGTHS, ridge.fit_path(inputs, targets), strict=True
  ):
    reference = sklearn.linear_model.Ridge(alpha=strength * unit)
    expected = reference.fit(inputs, targets).predict(inputs[:5])
    np.testing.assert_allclose(linear(inputs[:5]), expected, atol=1e-9)


def test_sparse_targets_give_the_same_map():
  inputs, targets = _problem()
  dense = ridge.fit_path(inputs, targets)[4]
  sparse = ridge.fit_path(inputs, scipy.sparse.csr_matrix(targets))[4]
  np.testing.assert_allclose(dense(inputs), sparse(inputs), atol=1e-12)


def test_more_features_than_rows_are_fine():
  random = np.random.default_rng(2)
  inputs, targets = random.standard_normal((5, 20)), np.eye(5)
  fitted = ridge.fit_path(inputs, targets)[0](inputs)
  np.testing.assert_allclose(fitted, targets, atol=0.01)


def test_the_best_measure_wins_and_undecided_ones_do_not():
  candidates = ridge.fit_path(*_problem())[:3]
  values = iter([np.nan, 0.7, 0.2])
  index, chosen = ridge.best(candidates, lambda _: next(values))
  assert index == 1
  assert chosen is candidates[1]
  assert ridge.best(candidates, lambda _: np.nan)[0] == 1
