"""Tests of music_embed.evaluation.label_prediction."""

import math

import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics

from music_embed.evaluation import label_prediction
from music_embed.evaluation.systems import Parts


def _parts(matrix) -> Parts:
  sparse = scipy.sparse.csr_matrix(np.array(matrix, np.float32))
  return Parts(sparse, sparse, sparse)


def test_rare_and_universal_labels_are_left_out_and_the_rest_is_by_frequency():
  # Occurrences of labels 0-3 among four recordings: 1, 2, 4, 3.
  targets = _parts([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]])
  task = label_prediction.label_task(targets, min_occurrences=2)
  assert task.label_ids.tolist() == [3, 1]
  assert task.positive.sum(axis=0).tolist() == [3, 2]
  capped = label_prediction.label_task(targets, min_occurrences=2, max_labels=1)
  assert capped.label_ids.tolist() == [3]


def test_mean_auc_weighs_labels_equally_and_skips_undecided_ones():
  positive = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
  scores = np.array([[4, 4, 1], [1, 3, 2], [2, 2, 3], [3, 1, 4]], float)
  # Label 0: pairs (4|2, 4|3, 1|2, 1|3): 2 of 4. Label 1: 1 of 3.
  auc = label_prediction.label_auc(positive, scores)
  np.testing.assert_allclose(auc[:2], [1 / 2, 1 / 3])
  assert math.isnan(auc[2])
  mean = label_prediction.mean_auc(positive, scores)
  assert mean == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_label_auc_equals_scikit_learns_with_ties():
  random = np.random.default_rng(4)
  positive = random.random((50, 6)) < 0.3
  scores = np.round(random.standard_normal((50, 6)), 1)
  expected = [
    sklearn.metrics.roc_auc_score(positive[:, j], scores[:, j])
    for j in range(6)
  ]
  auc = label_prediction.label_auc(positive, scores)
  np.testing.assert_allclose(auc, expected, rtol=1e-12)


def test_targets_of_picks_rows_of_the_csr():
  # Recordings 0-2 carry labels {1}, {}, {0, 2}.
  targets = label_prediction.targets_of(
    np.array([0, 1, 1, 3]), np.array([1, 0, 2]), np.array([2, 0]), 4
  )
  assert targets.toarray().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0]]


def _linear_problem(noise: float, dim: int = 5):
  random = np.random.default_rng(0)
  direction = random.standard_normal((5, 3))

  def part(size: int):
    vectors = random.standard_normal((size, dim))
    logits = vectors[:, :5] @ direction
    logits += noise * random.standard_normal(logits.shape)
    return vectors, scipy.sparse.csr_matrix((logits > 1).astype(np.float32))

  train, validation, evaluation = part(80), part(60), part(60)
  return (
    Parts(train[0], validation[0], evaluation[0]),
    Parts(train[1], validation[1], evaluation[1]),
  )


def test_the_probe_finds_labels_that_are_linear_in_the_embedding():
  embeddings, targets = _linear_problem(noise=0.0)
  task = label_prediction.label_task(targets, min_occurrences=5)
  probe = label_prediction.probe(embeddings, task)
  assert label_prediction.mean_auc(task.positive, probe.scores) > 0.95


def test_the_probe_shrinks_more_where_validation_says_so():
  # 70 noise dimensions beside 5 useful ones, and noisy labels.
  embeddings, targets = _linear_problem(noise=2.0, dim=75)
  task = label_prediction.label_task(targets, min_occurrences=5)
  assert label_prediction.probe(embeddings, task).strength >= 0.1


def test_the_probe_never_sees_evaluation_targets():
  embeddings, targets = _linear_problem(noise=1.0)
  task = label_prediction.label_task(targets, min_occurrences=5)
  flipped = label_prediction.LabelTask(
    task.label_ids,
    Parts(
      task.targets.train,
      task.targets.validation,
      scipy.sparse.csr_matrix(1 - task.targets.evaluation.toarray()),
    ),
  )
  np.testing.assert_array_equal(
    label_prediction.probe(embeddings, task).scores,
    label_prediction.probe(embeddings, flipped).scores,
  )
