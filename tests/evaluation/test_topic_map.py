"""Tests of music_embed.evaluation.topic_map."""

import numpy as np
import pytest

from music_embed.evaluation import topic_map


def _clusters(size: int = 30):
  random = np.random.default_rng(0)
  group = np.arange(3 * size) % 3
  embeddings = 4 * np.eye(3, 8)[group] + 0.3 * random.standard_normal(
    (3 * size, 8)
  )
  return group, embeddings


def test_recordings_of_a_cluster_lie_together():
  group, embeddings = _clusters()
  positions, method = topic_map.layout(embeddings, seed=0)
  assert method == "t-SNE"
  centres = np.stack([positions[group == g].mean(axis=0) for g in range(3)])
  distances = np.linalg.norm(positions[:, None] - centres[None], axis=2)
  np.testing.assert_array_equal(distances.argmin(axis=1), group)


@pytest.mark.parametrize(("count", "method"), [(1, "PCA"), (5, "PCA")])
def test_a_handful_of_recordings_is_laid_out_in_the_unit_square(count, method):
  positions, used = topic_map.layout(np.eye(5, 4)[:count], seed=0)
  assert used == method
  assert positions.shape == (count, 2)
  assert positions.min() >= 0
  assert positions.max() <= 1


def test_the_layout_repeats_with_the_seed():
  _, embeddings = _clusters(10)
  first, _ = topic_map.layout(embeddings, seed=3)
  again, _ = topic_map.layout(embeddings, seed=3)
  np.testing.assert_array_equal(first, again)


def test_topics_are_the_labels_that_embeddings_know_not_noise_or_repeats():
  group, embeddings = _clusters()
  random = np.random.default_rng(1)
  noise = random.random((90, 4)) < 0.3
  topics = group[:, None] == np.arange(3)
  repeated = topics[:, :1]  # A second word for the first topic.
  everywhere = np.ones((90, 1), bool)
  everywhere[0] = False
  positive = np.hstack([everywhere, noise, topics, repeated])
  chosen = topic_map.choose_topics(embeddings, positive, 3)
  assert chosen == [5, 6, 7]


def test_without_labels_every_point_is_of_no_topic():
  _, embeddings = _clusters(4)
  points = topic_map.topic_map(
    embeddings, np.zeros((12, 0), bool), [], ["t"] * 12
  )
  assert points.topics == []
  assert (points.topic == -1).all()


def test_the_rarest_topic_colours_a_recording_that_has_several():
  group, embeddings = _clusters()
  positive = group[:, None] == np.arange(3)
  positive[:3] = [[True, True, False], [False, True, True], [False] * 3]
  points = topic_map.topic_map(
    embeddings, positive, ["a", "b", "c"], ["t"] * 90
  )
  counts = positive.sum(axis=0)
  for index in (0, 1):
    named = points.topics[points.topic[index]]
    held = [j for j in range(3) if positive[index, j]]
    assert counts["abc".index(named)] == min(counts[held])
  assert points.topic[2] == -1
