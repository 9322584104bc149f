"""Tests of music_embed.evaluation.bootstrap."""

import math

import numpy as np
import pytest

from music_embed.evaluation import bootstrap, link_prediction, metrics


def _problem():
  random = np.random.default_rng(5)
  edges = np.argwhere(np.triu(random.random((20, 20)) < 0.3, k=1))
  embeddings = random.standard_normal((20, 4)).astype(np.float32)
  return link_prediction.graph_pairs(edges, 20), embeddings


def test_resamples_have_the_parts_size_and_repeat_with_the_seed():
  drawn = bootstrap.multiplicities(12, 50, seed=1)
  assert drawn.shape == (12, 50)
  assert (drawn.sum(axis=0) == 12).all()
  np.testing.assert_array_equal(drawn, bootstrap.multiplicities(12, 50, seed=1))
  assert (drawn != bootstrap.multiplicities(12, 50, seed=2)).any()


def test_link_replicates_equal_listing_the_drawn_recordings():
  pool, embeddings = _problem()
  drawn = bootstrap.multiplicities(20, 5, seed=0)
  fast = bootstrap.link_replicates(pool, {"a": embeddings}, drawn)["a"]
  positive = np.zeros((20, 20), bool)
  positive[pool.first[pool.positive], pool.second[pool.positive]] = True
  positive |= positive.T
  scores = np.zeros((20, 20), np.float32)
  cosines = link_prediction.cosines(embeddings, pool.first, pool.second)
  scores[pool.first, pool.second] = scores[pool.second, pool.first] = cosines
  for replicate in range(5):
    listed = np.repeat(np.arange(20), drawn[:, replicate])
    rows, columns = np.triu_indices(20, k=1)
    i, j = listed[rows], listed[columns]
    different = i != j
    slow = metrics.measures(positive[i, j][different], scores[i, j][different])
    assert fast["ap"][replicate] == pytest.approx(slow.ap, abs=1e-12)
    assert fast["auc"][replicate] == pytest.approx(slow.auc, abs=1e-12)


def test_blocks_do_not_change_replicates(monkeypatch):
  pool, embeddings = _problem()
  drawn = bootstrap.multiplicities(20, 21, seed=0)
  whole = bootstrap.link_replicates(pool, {"a": embeddings}, drawn)["a"]["ap"]
  monkeypatch.setattr(
    bootstrap, "_blocks", lambda pairs, n: [slice(0, 9), slice(9, n)]
  )
  parts = bootstrap.link_replicates(pool, {"a": embeddings}, drawn)["a"]["ap"]
  np.testing.assert_array_equal(whole, parts)


def test_label_replicates_are_the_mean_over_decided_labels():
  positive = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
  scores = np.array([[0.9, 0.1], [0.2, 0.2], [0.3, 0.3], [0.1, 0.9]])
  # Once as it is: label 0 orders 3 of 4 pairs, label 1 all 3. Then without
  # recording 3: label 1 has no positive left; label 0 orders 1 of 2 pairs.
  drawn = np.array([[1, 1], [1, 1], [1, 1], [1, 0]])
  replicates = bootstrap.label_replicates(positive, {"a": scores}, drawn)
  np.testing.assert_allclose(replicates["a"]["auc"], [(3 / 4 + 1) / 2, 1 / 2])


def test_intervals_leave_out_undecided_replicates():
  values = np.r_[np.arange(101.0), [np.nan] * 7]
  assert bootstrap.Interval.of(values).to_json() == [2.5, 97.5]
  assert math.isnan(bootstrap.Interval.of(np.array([np.nan])).low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
  # Two populations of recordings; the "truth" is a very large sample's AUC.
  def sample(seed: int, size: int):
    random = np.random.default_rng(seed)
    group = random.integers(0, 2, size)
    vectors = random.standard_normal((size, 3)) + 1.5 * group[:, None]
    same = group[:, None] == group[None, :]
    edges = np.argwhere(np.triu(same, k=1))
    return link_prediction.graph_pairs(edges, size), vectors

  pool, vectors = sample(0, 1_500)
  truth = link_prediction.measure(pool, vectors).auc
  covered = 0
  for seed in range(1, 41):
    pool, vectors = sample(seed, 40)
    drawn = bootstrap.multiplicities(40, 200, seed)
    replicates = bootstrap.link_replicates(pool, {"a": vectors}, drawn)
    interval = bootstrap.Interval.of(replicates["a"]["auc"])
    covered += interval.low <= truth <= interval.high
  assert 33 <= covered <= 40
