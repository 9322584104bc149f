"""Tests of what report.json says about senses."""

import numpy as np
import pytest

from music_embed.evaluation import ambiguity, sense_report


@pytest.fixture
def space():
  return sense_report.SenseSpace(
    kernel=np.array(
      [[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9], [0.8, 0.3]], np.float32
    ),
    names=["3_bebop", "7_bebop", "3_bop", "7_anime", "7_bop"],
    terms=np.array([0, 0, 1, 2, 1]),
    clusters=np.array([3, 7, 3, 7, 7]),
    counts=np.array([20, 9, 8, 7, 6]),
    vocabulary=["bebop", "bop", "anime"],
  )


@pytest.fixture
def found():
  return [
    ambiguity.AmbiguousTerm(
      term=0,
      score=1.0,
      senses=(0, 1),
      clusters=(3, 7),
      counts=(20, 9),
      share=0.9,
    )
  ]


def test_each_sense_has_the_terms_near_it_each_once(space, found):
  (term,) = sense_report.meanings(space, found, None, num_nearest=3)
  assert term["term"] == "bebop"
  first, second = term["senses"]
  assert (first["label"], first["cluster"], first["recordings"]) == (
    "3_bebop",
    3,
    20,
  )
  assert [near["term"] for near in first["nearest"]] == ["bop", "anime"]
  assert [near["term"] for near in second["nearest"]] == ["anime", "bop"]


def test_nothing_found_gives_an_empty_table(space):
  assert sense_report.meanings(space, [], None) == []


def test_finding_is_judged_where_the_truth_is_known(space, found):
  said = sense_report.finding(space, found, {"bebop", "anime"})
  assert (said["found"], said["planted"]) == (1, 2)
  assert (said["precision"], said["recall"]) == (1.0, 0.5)
  assert said["found_terms"][0]["planted"] is True


def test_without_a_truth_nothing_is_planted(space, found):
  said = sense_report.finding(space, found, None)
  assert said["flagged"] == 1
  assert [said[key] for key in ("found", "planted", "precision")] == [None] * 3
  assert said["found_terms"][0]["senses"] == ["3_bebop", "7_bebop"]
