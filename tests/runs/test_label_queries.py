"""Tests of what a query is taken for."""

import pathlib
import types

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.records import label_names
from music_embed.runs import label_queries

_DATA = types.SimpleNamespace(
  recording_ids=["r1", "hard bop", "x"], titles=["One", "Two", "Three"]
)


@pytest.fixture
def names():
  return label_names.LabelNames(
    labels=["3_bebop", "hard bop", "bebop", "12_bebop", "ドルド"],
    counts=np.array([5, 9, 4, 40, 2]),
    term_names=["hard bop", "bebop", "ドルド"],
    terms=np.array([1, 0, 1, 1, 2]),
    clusters=np.array([3, -1, -1, 12, -1]),
  )


def test_a_term_gives_its_senses_and_plain_label_by_frequency(names):
  found = label_queries.resolve("bebop", names, _DATA)
  assert found.kind == "term"
  assert [names.labels[i] for i in found.labels] == [
    "12_bebop",
    "3_bebop",
    "bebop",
  ]


def test_a_sense_is_that_label_alone(names):
  found = label_queries.resolve("3_bebop", names, _DATA)
  assert (found.kind, found.labels.tolist()) == ("label", [0])


@pytest.mark.parametrize("text", ["Hard  Bop!", "HARD BOP", "hard_bop"])
def test_spelling_is_forgiven_as_the_vocabulary_forgives_it(text, names):
  found = label_queries.resolve(text, names, _DATA)
  assert (found.kind, found.name) == ("term", "hard bop")


def test_a_term_comes_before_a_recording_of_that_name(names):
  assert label_queries.resolve("hard bop", names, _DATA).kind == "term"


def test_a_recording_is_known_by_its_id(names):
  found = label_queries.resolve("r1", names, _DATA)
  assert (found.kind, found.labels.tolist()) == ("recording", [0])
  assert found.name == "r1: One"


def test_a_file_is_a_file(names, tmp_path: pathlib.Path):
  path = tmp_path / "take.wav"
  path.write_bytes(b"x")
  assert label_queries.resolve(str(path), names, _DATA).kind == "file"


def test_an_unknown_word_is_told_what_is_near_it(names):
  with pytest.raises(errors.ConfigError, match="'bepop'.*near it: bebop"):
    label_queries.resolve("bepop", names, _DATA)


def test_a_file_that_is_not_there_is_not_taken_for_a_word(names):
  with pytest.raises(errors.DataError, match=r"songs/a.mp3: no such file"):
    label_queries.resolve("songs/a.mp3", names, _DATA)


def test_a_sense_that_is_not_there_is_told_which_are(names):
  with pytest.raises(
    errors.ConfigError, match="no such sense; 'bebop' has 12_bebop, 3_bebop"
  ):
    label_queries.resolve("7_bebop", names, _DATA)
