"""Tests of music_embed.evaluation.report and its terminal table."""

import dataclasses
import json

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.evaluation import (
  label_prediction,
  report,
  systems,
  tables,
)


@pytest.fixture(scope="module")
def measured(make_material):
  return report.measure(make_material(), num_bootstrap=50)


def test_systems_come_in_table_order_under_link_and_label(measured):
  expected = ["random", "audio_statistics", "hybrid", "wmf"]
  assert list(measured["link"]) == list(measured["label"]) == expected
  assert all(set(link) == {"ap", "auc"} for link in measured["link"].values())


def test_unknown_systems_stand_before_the_bound():
  names = ["wmf", "mine", "hybrid", "random"]
  assert systems.ordered(names) == ["random", "hybrid", "mine", "wmf"]


def test_top_level_link_is_the_graph_variant_and_says_why(measured):
  assert measured["link"] == measured["link_variants"]["graph"]["systems"]
  assert "graph variant" in measured["link_note"]


def test_every_variant_has_its_prevalence(measured):
  variants = measured["link_variants"]
  plain = {"graph", "sampled_pairs", "bipartite"}
  assert set(variants) == plain | {f"{name}_other_artists" for name in plain}
  for variant in variants.values():
    assert variant["prevalence"] == variant["positives"] / variant["pairs"]


def test_a_head_gives_both_read_outs_and_the_softmax_counts(measured):
  readouts = measured["label_readouts"]["hybrid"]
  assert set(readouts) == {"softmax", "probe"}
  assert measured["label"]["hybrid"] == {
    "auc": readouts["softmax"]["auc"],
    "readout": "softmax",
  }
  assert set(measured["label_readouts"]["wmf"]) == {"probe"}
  assert measured["label"]["wmf"]["readout"] == "probe"


def test_recovery_is_the_share_of_wmf(measured):
  shares = measured["recovery"]["systems"]
  assert "wmf" not in shares
  link = measured["link"]
  assert shares["hybrid"]["ap"] == link["hybrid"]["ap"] / link["wmf"]["ap"]
  published = measured["recovery"]["published"]
  assert published["Huang et al. 2020, hybrid"] == {"ap": 0.25, "auc": 0.98}


def test_a_clear_difference_holds_and_the_number_lies_in_its_interval(measured):
  claims = {
    (c["better"], c["worse"], c["measure"]): c for c in measured["claims"]
  }
  claim = claims["hybrid", "audio_statistics", "auc"]
  assert claim["holds"]
  low, high = measured["intervals"]["link"]["hybrid"]["auc"]
  assert low < measured["link"]["hybrid"]["auc"] < high


def test_the_same_seed_gives_the_same_report_and_another_does_not(
  make_material, measured
):
  assert report.measure(make_material(), num_bootstrap=50) == measured
  other = report.measure(make_material(), num_bootstrap=50, seed=1)
  assert other["intervals"] != measured["intervals"]
  assert other["link"] == measured["link"]


def test_undecided_numbers_are_null_in_strict_json(make_material):
  material = make_material()
  nothing = label_prediction.LabelTask(
    np.zeros(0, np.int64), material.labels.targets.map(lambda m: m[:, :0])
  )
  material = dataclasses.replace(
    material,
    labels=nothing,
    systems={"wmf": material.systems["wmf"]},
  )
  measured = report.measure(material, num_bootstrap=5)
  assert measured["label"]["wmf"]["auc"] is None
  json.dumps(measured, allow_nan=False)
  assert "wmf" in tables.summary(measured)


def test_a_part_without_edges_says_what_to_do(make_material):
  material = dataclasses.replace(
    make_material(), edges=np.zeros((0, 2), np.int64)
  )
  with pytest.raises(errors.DataError, match="40 recordings, 0 co-listen"):
    report.measure(material, num_bootstrap=5)


def test_a_report_read_back_prints_as_it_did_at_first(measured):
  stored = json.loads(json.dumps(measured, sort_keys=True))
  assert list(stored["link"]) != list(measured["link"])
  assert tables.summary(stored) == tables.summary(measured)


def test_the_terminal_table_shows_every_system_with_its_numbers(measured):
  text = tables.summary(measured)
  table = text.split("\n\n")[0]
  lines = {line.split()[0]: line for line in table.splitlines()}
  for name, link in measured["link"].items():
    assert tables.number(link["ap"]) in lines[name]
    assert tables.number(link["auc"]) in lines[name]
    assert lines[name].endswith(measured["label"][name]["readout"])
  assert "hybrid above audio_statistics [must hold]: AP yes" in text
  assert "wmf above all others" in text


def test_numbers_print_as_papers_do():
  assert tables.number(0.1234) == ".123"
  assert tables.number(1.0) == "1.000"
  assert tables.number(-0.5) == "-.500"
  assert tables.number(None) == "-"


def test_z_scoring_gives_unit_deviation_over_the_training_part(make_material):
  parts = systems.z_scored(make_material().systems["hybrid"].embeddings)
  np.testing.assert_allclose(parts.train.mean(axis=0), 0, atol=1e-6)
  np.testing.assert_allclose(parts.train.std(axis=0), 1, rtol=1e-5)
