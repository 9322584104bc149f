"""Tests of the report's section on word senses."""

import re

import pytest

from music_embed.evaluation import report
from music_embed.evaluation.page import page, senses


def _group(terms, unsplit, summed, shuffled):
  auc = {"unsplit": unsplit, "summed": summed, "shuffled": shuffled}
  return {
    "terms": terms,
    **{f"auc_{kind}": value for kind, value in auc.items()},
    "intervals": {
      kind: [value - 0.01, value + 0.01] for kind, value in auc.items()
    },
    "summed_above_unsplit": {"difference": 0.037, "interval": [0.01, 0.06]},
    "summed_above_shuffled": {"difference": -0.002, "interval": [None, None]},
  }


def _k_row(num_clusters, gain):
  means = {"terms": 70, "auc_unsplit": 0.7, "auc_summed": 0.71}
  return {
    "num_clusters": num_clusters,
    "auc_split": 0.9,
    **means,
    "auc_shuffled": 0.69,
    "gain": gain,
    "gain_error": 0.003,
    "others": means,
    "words": {"bebop": 0.9},
  }


def _near(*terms):
  return [{"term": t, "genre": 1, "cosine": 0.5} for t in terms]


@pytest.fixture
def measured():
  sense = {"label": "46_bebop", "cluster": 46, "recordings": 1_200}
  return {
    "k": 64,
    "flagged": 5,
    "found": 4,
    "planted": 4,
    "precision": 0.8,
    "recall": 1.0,
    "judged_on": "planted",
    "num_shuffles": 3,
    **_group(4, 0.903, 0.94, 0.875),
    "others": _group(80, 0.75, 0.752, 0.741),
    "senses_per_term": {"1": 90, "3": 7, "8": 2, "9": 1, "20": 4},
    "table": [
      {
        "term": "bebop<i>",
        "score": 1.125,
        "planted": True,
        "senses": [
          {**sense, "nearest": _near("hard bop", "<script>")},
          {**sense, "label": "5_bebop", "nearest": _near("anime")},
        ],
      }
    ],
    "k_table": [
      _k_row(32, 0.01),
      _k_row(64, 0.0625),
    ],
    "told_apart": {
      "told_apart": 1,
      "share_right": 0.83,
      "share_right_shuffled": 0.25,
      "words": [
        {
          "word": "bebop",
          "told_apart": True,
          "senses": [
            {"genre": 1, "label": "46_bebop", "nearest": _near("cool")},
            {"genre": 2, "label": "5_bebop", "nearest": _near("cool")},
          ],
        }
      ],
    },
  }


def test_a_report_without_senses_has_no_section(make_material):
  measured = report.measure(make_material(), num_bootstrap=10)
  assert "Word senses" not in page.render(measured, {})
  assert senses.section(None) == ""


def test_the_section_stands_in_the_page(make_material, measured):
  whole = report.measure(make_material(), num_bootstrap=10)
  assert "Word senses" in page.render(whole | {"senses": measured}, {})


def test_each_sense_stands_with_its_nearest_labels(measured):
  drawn = senses.section(measured)
  assert "46_bebop" in drawn
  assert "hard bop, &lt;script&gt;" in drawn
  assert "bebop&lt;i&gt;" in drawn
  assert "<script" not in drawn


def test_heads_stand_side_by_side_with_intervals(measured):
  drawn = senses.section(measured)
  for number in (".903", ".940", ".875", ".752", ".930\N{EN DASH}.950"):
    assert number in drawn
  assert "+.037" in drawn
  assert "\N{MINUS SIGN}.002" in drawn


def test_the_chosen_number_of_clusters_is_marked(measured):
  rows = re.findall(r"<tr.*?</tr>", senses.section(measured))
  (chosen,) = [row for row in rows if "chosen" in row]
  assert ">64 <" in chosen
  assert ".0625 <small>\N{PLUS-MINUS SIGN} .0030" in chosen


def test_right_and_wrong_genre_words_are_told_by_their_numbers(measured):
  drawn = senses.section(measured)
  assert '<span class="yes">cool (1)</span>' in drawn
  assert '<span class="no">cool (1)</span>' in drawn


def test_bars_are_single_first_and_then_doubling(measured):
  drawn = senses.bars(measured["senses_per_term"])
  hovers = re.findall(r"<title>(.*?)</title>", drawn)
  assert hovers[0] == "90 terms: 1"
  assert hovers[2:3] == ["7 terms: 3"]
  assert hovers[8:] == ["1 terms: 9\N{EN DASH}16", "4 terms: 17\N{EN DASH}32"]


def test_nothing_found_and_nothing_planted_is_said_plainly(measured):
  nothing = measured | {
    "flagged": 0,
    "found": None,
    "planted": None,
    "table": [],
    "k_table": [],
    "told_apart": None,
    **_group(0, 0.5, 0.5, 0.5),
    "auc_summed": None,
    "intervals": dict.fromkeys(("unsplit", "summed", "shuffled"), [None] * 2),
  }
  drawn = senses.section(nothing)
  assert "No term was found" in drawn
  assert "planted" not in drawn.split("Do senses help?")[0]
