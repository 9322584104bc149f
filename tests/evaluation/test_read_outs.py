"""Ways to read a system: which there are, which counts, what is shown."""

import dataclasses

import numpy as np
import pytest

from music_embed.evaluation import report, systems, tables
from music_embed.evaluation.page import page
from music_embed.evaluation.systems import System


@pytest.fixture(scope="module")
def material(make_material):
  """With a network whose CF vectors know more than its embeddings."""
  made = make_material()
  with_head = System(
    made.systems["audio_statistics"].embeddings,
    description="a network",
    cf_vectors=made.systems["hybrid"].embeddings,
  )
  return dataclasses.replace(
    made, systems={**made.systems, "cf_regression": with_head}
  )


@pytest.fixture(scope="module")
def measured(material):
  return report.measure(material, num_bootstrap=50)


def test_a_cf_head_gives_a_third_read_out_and_it_counts(measured):
  read = measured["link_readouts"]
  assert list(read["hybrid"]) == ["raw", "z_scored"]
  assert list(read["cf_regression"]) == ["raw", "z_scored", "predicted_cf"]
  assert read["cf_regression"]["raw"] == read["audio_statistics"]["raw"]
  assert read["cf_regression"]["predicted_cf"] == read["hybrid"]["raw"]
  assert measured["link"]["cf_regression"] == read["hybrid"]["raw"]
  assert measured["link_readout"]["cf_regression"] == "predicted_cf"
  assert measured["link_readout"]["hybrid"] == "raw"
  assert "predicted_cf" in measured["link_note"]


def test_all_numbers_are_of_the_read_out_that_counts(measured):
  for variant in measured["link_variants"].values():
    found = variant["systems"]
    assert found["cf_regression"] == found["hybrid"]
  ends = measured["intervals"]["link"]
  assert ends["cf_regression"] == ends["hybrid"]


def test_labels_of_a_network_without_a_label_head_are_probed(measured):
  found = measured["label"]
  assert found["cf_regression"]["readout"] == "probe"
  assert found["cf_regression"] == found["audio_statistics"]


def test_systems_with_a_cf_head_stand_before_the_bound():
  names = ["wmf", "cf_label", "cf_regression", "hybrid"]
  assert systems.ordered(names) == [
    "hybrid",
    "cf_regression",
    "cf_label",
    "wmf",
  ]


def test_every_read_out_has_its_row(measured):
  rows = tables.summary(measured).split("\n\n")[-1].splitlines()[2:]
  assert [line.split()[:2] for line in rows] == [
    ["cf_regression", "predicted_cf"],
    ["cf_regression", "raw"],
    ["cf_regression", "z_scored"],
  ]
  rendered = page.render(measured, {})
  assert rendered.count("<b>raw</b>") == len(measured["link"]) - 1
  assert rendered.count("<b>predicted CF</b>") == 1
  assert rendered.count("z-scored</td>") == len(measured["link"])


def test_z_scores_are_those_of_the_training_part_and_constants_are_zero():
  random = np.random.default_rng(0)
  train = random.normal(3.0, 2.0, (50, 4)).astype(np.float32)
  train[:, 2] = 1.5
  score = systems.ZScore.of(train)
  found = score(train)
  expected = (train - train.mean(0)) / np.where(
    train.std(0) > 0, train.std(0), 1.0
  )
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert not found[:, 2].any()
  assert not score(train + 7.0)[:, 2].any()
  assert found.dtype == np.float32
