"""Tests of AUC summed over senses beside the unsplit one and the control."""

import numpy as np
import pytest

from music_embed.evaluation import label_prediction, sense_auc


@pytest.fixture
def material():
  random = np.random.default_rng(0)
  positive = random.random((80, 6)) < 0.4

  def noisy(noise):
    return positive + noise * random.standard_normal(positive.shape)

  return positive, sense_auc.HeadScores(
    noisy(1.0), noisy(0.3), (noisy(1.5), noisy(1.5))
  )


def test_means_are_over_the_labels_of_each_group(material):
  positive, scores = material
  is_ambiguous = np.array([True, False, False, True, False, False])
  found = sense_auc.measure(positive, scores, is_ambiguous, num_bootstrap=5)
  for name, chosen in (("ambiguous", [0, 3]), ("others", [1, 2, 4, 5])):
    expected = label_prediction.label_auc(positive, scores.summed)[chosen]
    assert found[name]["terms"] == len(chosen)
    assert found[name]["auc_summed"] == pytest.approx(expected.mean())
    control = [
      label_prediction.label_auc(positive, values)[chosen].mean()
      for values in scores.shuffled
    ]
    assert found[name]["auc_shuffled"] == pytest.approx(np.mean(control))


def test_differences_are_paired_and_have_intervals_around_them(material):
  positive, scores = material
  found = sense_auc.measure(
    positive, scores, np.ones(6, bool), num_bootstrap=200
  )["ambiguous"]
  for kind in ("unsplit", "shuffled"):
    above = found[f"summed_above_{kind}"]
    expected = found["auc_summed"] - found[f"auc_{kind}"]
    assert above["difference"] == pytest.approx(expected)
    low, high = above["interval"]
    assert 0 < low < above["difference"] < high


def test_a_group_without_labels_is_undecided(material):
  positive, scores = material
  found = sense_auc.measure(
    positive, scores, np.zeros(6, bool), num_bootstrap=3
  )["ambiguous"]
  assert found["terms"] == 0
  assert np.isnan(found["auc_summed"])
  assert np.isnan(found["summed_above_unsplit"]["interval"]).all()
