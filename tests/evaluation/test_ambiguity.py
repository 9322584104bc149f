import numpy as np
import pytest

from music_embed.core import errors
from music_embed.evaluation import ambiguity

_SIZES = np.array([100, 100, 100, 100])
_NEIGHBORS = np.eye(4, dtype=bool)
_NEIGHBORS[0, 1] = _NEIGHBORS[1, 0] = True
_AXES = {"a": 0, "b": 1, "c": 2}


def _found(rows, columns, num_recordings=400, **options):
  """Rows are (term, cluster, count); columns say along which axis each lies."""
  plain, cluster, counts = np.array(rows).T
  kernel = 3.0 * np.eye(3)[[_AXES[name] for name in columns]]
  labels = ambiguity.LabelCounts(plain, cluster, counts, _SIZES, num_recordings)
  return ambiguity.find(
    kernel, labels, _NEIGHBORS, ambiguity.FindingOptions(**options)
  )


def test_a_word_of_two_far_clusters_that_sound_different_is_found():
  (word,) = _found([(0, 0, 20), (0, 2, 25)], "ab")
  assert word.term == 0
  assert word.score == pytest.approx(1.0)
  assert word.senses == (1, 0)
  assert word.clusters == (2, 0)
  assert word.counts == (25, 20)
  assert word.share == 1.0


def test_a_word_of_all_clusters_is_not_however_its_senses_differ():
  rows = [(0, cluster, 30) for cluster in range(4)]
  assert not _found(rows, "abca")


def test_a_word_of_two_neighboring_clusters_is_not():
  assert not _found([(0, 0, 20), (0, 1, 25)], "ab")


def test_a_word_that_sounds_the_same_in_both_clusters_is_not():
  assert not _found([(0, 0, 20), (0, 2, 25)], "aa")
  assert _found([(0, 0, 20), (0, 2, 25)], "aa", min_distance=0.0)


def test_a_word_with_many_other_uses_is_not():
  rows = [(0, 0, 40), (0, 2, 45), (0, -1, 30)]
  assert not _found(rows, "abc")
  (word,) = _found(rows, "abc", min_share=0.5)
  assert word.share == pytest.approx(85 / 115)


def test_senses_in_neighboring_clusters_count_as_one():
  (word,) = _found([(0, 0, 14), (0, 1, 14), (0, 3, 18)], "aab", 1000)
  assert word.share == 1.0
  assert word.clusters == (3, 0)


def test_words_come_by_falling_score():
  plain = np.array([4, 4, 2, 2])
  cluster = np.array([0, 2, 1, 3])
  kernel = np.array([[1.0, 0.0], [0.5, 1.0], [1.0, 0.0], [-1.0, 0.0]])
  labels = ambiguity.LabelCounts(plain, cluster, np.full(4, 20), _SIZES, 400)
  found = ambiguity.find(kernel, labels, _NEIGHBORS)
  assert [word.term for word in found] == [2, 4]
  assert found[1].score == pytest.approx(1 - 0.5 / np.sqrt(1.25))


def _enriched(rows, false_discoveries=0.05):
  plain, cluster, counts = np.array(rows).T
  labels = ambiguity.LabelCounts(plain, cluster, counts, _SIZES, 400)
  options = ambiguity.FindingOptions(false_discoveries=false_discoveries)
  return ambiguity.enriched(labels, options).tolist()


def test_enrichment_is_the_binomial_test():
  # P(X >= 9) of 12 at 1/4 is .0004, P(X >= 3) of 3 is .016, and of the three
  # of term 0 outside of its first cluster P(X >= 2) at 1/3 is .26.
  rows = [(0, 0, 9), (0, 1, 2), (0, -1, 1), (1, 2, 3)]
  assert _enriched(rows) == [True, False, False, True]
  assert _enriched(rows, 0.02) == [True, False, False, False]


def test_a_second_sense_is_judged_by_what_the_first_leaves():
  # 13 of 40 are no surprise at 1/4 (.18), all 13 that are left are at 1/3.
  assert _enriched([(0, 0, 27), (0, 1, 13)]) == [True, True]
  assert _enriched([(0, 0, 27), (0, 1, 5), (0, -1, 8)]) == [True, False, False]


def test_clusters_neighbor_by_more_edges_than_their_degrees_explain():
  found = np.array([0, 0, 1, 1, 2, 2, -1])
  edges = [(0, 1), (2, 3), (4, 5), (0, 2), (1, 3), (0, 3), (3, 4), (5, 6)]
  neighbors = ambiguity.neighboring(np.array(edges), found, 3)
  assert neighbors.tolist() == [
    [True, True, False],
    [True, True, False],
    [False, False, True],
  ]


def test_precision_and_recall_count_planted_words():
  assert ambiguity.against_truth(["a", "b", "c"], ["a", "d"]) == {
    "found": 1,
    "planted": 2,
    "flagged": 3,
    "precision": pytest.approx(1 / 3),
    "recall": 0.5,
  }
  assert ambiguity.against_truth([], ["a"])["precision"] is None


def test_a_share_beyond_one_is_refused():
  with pytest.raises(errors.ConfigError, match="min_share"):
    ambiguity.FindingOptions(min_share=1.5)
