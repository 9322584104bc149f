"""Tests of music_embed.evaluation.validation."""

import numpy as np
import scipy.sparse

from music_embed.evaluation import validation


def test_link_measures_follow_hand_arithmetic():
  # Cosines to recording 0: 1 -> .8, 2 -> .6, 3 -> 0; 1-2: .96, 1-3: .6,
  # 2-3: .8. In falling order: 1-2, then 0-1 and 2-3 tied, then 0-2 and 1-3
  # tied, then 0-3.
  embeddings = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float64)
  measured = validation.link_measures(embeddings, np.array([[1, 2], [0, 3]]))
  assert measured["link_ap"] == (1 + 2 / 6) / 2
  assert measured["link_auc"] == 4 / 8


def test_undecided_measures_are_left_out():
  assert validation.link_measures(np.eye(3), np.zeros((0, 2), np.int64)) == {}
  assert validation.link_measures(np.eye(2), np.array([[0, 1]])) == {}
  targets = scipy.sparse.csr_matrix(np.eye(3))
  assert validation.label_measures(np.eye(3), targets) == {}


def test_label_measures_average_over_frequent_labels_only():
  targets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
  scores = np.array([[4, 1, 0], [2, 4, 9], [3, 2, 1], [1, 3, 8]], float)
  # Label 0: pairs above 3 of 4; label 1: 1>... 1 of 4; label 2 occurs once.
  measured = validation.label_measures(
    scores, scipy.sparse.csr_matrix(targets), min_occurrences=2
  )
  assert measured == {"label_auc": (3 / 4 + 1 / 4) / 2}
