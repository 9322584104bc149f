"""Tests of the precision of word queries, against hand arithmetic."""

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.evaluation import word_search

_IDS = ["a", "b", "c", "d"]
_TRUTH = {
  "recordings": {
    "a": {"genre": 0, "family": 0, "instruments": ["bells"]},
    "b": {"genre": 0, "family": 0, "instruments": []},
    "c": {"genre": 1, "family": 1, "instruments": ["bells", "organ"]},
    "d": {"genre": 2, "family": 1, "instruments": []},
  },
  "genre_words": [["rock"], ["pop"], ["folk"]],
  "family_words": [["loud"], ["quiet"]],
  "ambiguous_words": [{"word": "metal", "genres": [0, 2]}],
}


def _fits(words):
  return {word.text: word.fits.tolist() for word in words}


def test_words_fit_what_the_world_says():
  fits = _fits(word_search.words_of(_TRUTH, _IDS))
  assert fits == {
    "rock": [True, True, False, False],
    "pop": [False, False, True, False],
    "folk": [False, False, False, True],
    "loud": [True, True, False, False],
    "quiet": [False, False, True, True],
    "bells": [True, False, True, False],
    "organ": [False, False, True, False],
    "metal": [True, True, False, True],
  }


def test_precision_is_counted_by_word_and_by_meaning():
  words = word_search.words_of(_TRUTH, _IDS)
  answers = {
    "rock": [0, 1, 2],  # 2 of 2
    "pop": [0, 2, 1],  # 1 of 2
    "metal": [0, 3, 1],  # 2 of 2 fit, 1 of 2 is of either genre
    "1_metal": [0, 1, 2],  # 2 of 2 are of genre 0
    "2_metal": [3, 2, 0],  # 1 of 2 is of genre 2
  }
  found = word_search.precision(
    words,
    lambda text: np.array(answers[text]),
    {"rock": ["rock"], "pop": ["pop"], "metal": ["1_metal", "2_metal"]},
    k=2,
  )
  assert set(found) == {"genre", "ambiguous"}
  assert found["genre"] == word_search.Precision(2, 0.75, 0.75, 0.375)
  assert found["ambiguous"] == word_search.Precision(1, 1.0, 0.75, 0.75)


def test_a_recording_without_truth_is_an_error():
  with pytest.raises(errors.DataError, match="'e' is missing"):
    word_search.words_of(_TRUTH, ["e"])
