import numpy as np
import pytest
import scipy.sparse

from music_embed.evaluation import senses


def _auc(**changes):
  values = {
    "terms": np.array([7, 3, 5]),
    "occurrences": np.array([9, 8, 7]),
    "unsplit": np.array([0.5, 0.7, np.nan]),
    "summed": np.array([0.8, 0.7, np.nan]),
    "shuffled": np.array([[0.5, 0.6, np.nan], [0.7, 0.6, np.nan]]),
    "split_auc": 0.9,
    "num_split": 4,
  }
  return senses.TermAuc(**(values | changes))


def test_the_gain_is_over_the_mean_of_shuffled_clusters():
  np.testing.assert_allclose(_auc().gain, [0.2, 0.1, np.nan])


def test_means_leave_out_terms_that_were_not_judged():
  means = _auc().means()
  assert means["terms"] == 2
  assert means["auc_unsplit"] == pytest.approx(0.6)
  assert means["auc_summed"] == pytest.approx(0.75)
  assert means["auc_shuffled"] == pytest.approx(0.6)
  assert means["gain"] == pytest.approx(0.15)
  assert means["gain_error"] == pytest.approx(0.05)


def test_means_of_some_terms():
  means = _auc().means(np.array([3, 4]))
  assert means["terms"] == 1
  assert means["auc_summed"] == pytest.approx(0.7)
  assert means["gain_error"] is None
  assert _auc().means(np.array([4]))["auc_summed"] is None


def test_figures_of_a_term():
  assert _auc().of_term(3) == {
    "occurrences": 8,
    "auc_unsplit": pytest.approx(0.7),
    "auc_summed": pytest.approx(0.7),
    "auc_shuffled": pytest.approx(0.6),
  }
  assert _auc().of_term(5)["auc_unsplit"] is None
  assert _auc().of_term(4) is None


def test_labels_that_occur_often_enough_are_judged():
  targets = scipy.sparse.csr_matrix(
    [[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 1], [1, 0, 0, 1]]
  )
  judged = senses.judged(targets, min_occurrences=2)
  assert judged.tolist() == [3, 1]  # Every recording holds label 0.
  assert senses.judged(targets, min_occurrences=1, max_labels=1).tolist() == [3]


def test_scores_of_senses_are_grouped_by_judged_terms():
  plain = np.array([2, 0, 1, 2, 0])
  grouped = senses.groups(plain, np.array([2, 1]), 4)
  assert grouped.tolist() == [0, -1, 1, 0, -1]
  assert grouped.dtype == np.int32


def test_auc_of_chosen_labels():
  targets = scipy.sparse.csr_matrix([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
  scores = np.array([[0.2, 0.9], [0.5, 0.1], [0.1, 0.3]])
  found = senses.auc(targets, np.array([1, 0]), scores)
  np.testing.assert_allclose(found, [0.5, 1.0])


def test_terms_are_counted_by_their_senses():
  plain = np.array([0, 0, 0, 1, 2, 2])
  cluster = np.array([3, 4, -1, -1, 0, 1])
  assert senses.senses_per_term(plain, cluster) == {1: 1, 2: 2}
