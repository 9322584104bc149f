"""Tests of whether planted words' senses lie near the right words."""

import numpy as np
import pytest
import scipy.sparse

from music_embed.core import errors
from music_embed.evaluation import told_apart

_VOCABULARY = ["word", "a1", "a2", "a3", "b1", "b2", "b3"]
_TRUTH = told_apart.Truth(
  planted={"word": (0, 1), "absent": (0, 1)},
  word_genres={"a1": 0, "a2": 0, "a3": 0, "b1": 1, "b2": 1, "b3": 1},
  recording_genres={},
)
_GENRES = np.array([0, 0, 1, 1, 1])


def _head(senses):
  """Two senses of `word`, then the genre words around (1, 0) and (0, 1)."""
  words = [[1, 0.1], [1, 0.2], [1, 0.3], [0.1, 1], [0.2, 1], [0.3, 1]]
  occurrences = np.zeros((5, 8))
  occurrences[[0, 1, 2], 0] = 1  # Two of three are of genre 0.
  occurrences[[3, 4], 1] = 1
  return told_apart.SenseHead(
    kernel=np.array([*senses, *words], np.float32),
    labels=["0_word", "1_word", *_VOCABULARY[1:]],
    terms=np.array([0, 0, 1, 2, 3, 4, 5, 6]),
    occurrences=scipy.sparse.csr_matrix(occurrences),
  )


def test_senses_among_their_genres_words_are_told_apart():
  found = told_apart.told_apart(
    _head([[5.0, 0.0], [0.0, 0.1]]), _VOCABULARY, _GENRES, _TRUTH
  )
  assert (found["told_apart"], found["share_right"]) == (1, 1.0)
  (word,) = found["words"]
  first, second = word["senses"]
  assert (first["label"], first["genre"], first["recordings"]) == (
    "0_word",
    0,
    3,
  )
  assert [near["term"] for near in first["nearest"]] == ["a1", "a2", "a3"]
  assert [near["term"] for near in second["nearest"]] == ["b1", "b2", "b3"]


def test_senses_among_the_wrong_words_are_not():
  found = told_apart.told_apart(
    _head([[0.0, 1.0], [1.0, 0.0]]), _VOCABULARY, _GENRES, _TRUTH
  )
  assert (found["told_apart"], found["share_right"]) == (0, 0.0)


def test_one_sense_for_both_genres_is_right_for_one_at_most():
  head = _head([[1.0, 0.0], [0.0, 1.0]])
  occurrences = head.occurrences.toarray()
  occurrences[:, :2] = [[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]]
  head = told_apart.SenseHead(
    head.kernel,
    head.labels,
    head.terms,
    scipy.sparse.csr_matrix(occurrences),
  )
  found = told_apart.told_apart(head, _VOCABULARY, _GENRES, _TRUTH)
  assert (found["told_apart"], found["share_right"]) == (0, 0.5)


def test_no_planted_word_in_the_vocabulary_leaves_it_undecided():
  truth = told_apart.Truth({"absent": (0, 1)}, {}, {})
  found = told_apart.told_apart(
    _head([[1.0, 0.0], [0.0, 1.0]]), _VOCABULARY, _GENRES, truth
  )
  assert found["told_apart"] == 0
  assert np.isnan(found["share_right"])


def test_a_file_that_is_no_truth_is_named():
  with pytest.raises(errors.DataError, match="x.json: not the truth"):
    told_apart.Truth.from_json({"ambiguous_words": [{"word": "a"}]}, "x.json")
