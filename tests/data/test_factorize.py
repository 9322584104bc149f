"""Factorisation of a graph with two communities."""

import numpy as np

from music_embed.data.mining import factorize, graph


def _two_communities() -> graph.Graph:
  rng = np.random.default_rng(0)
  pairs = np.array(
    [
      (i, j)
      for i in range(40)
      for j in range(i + 1, 40)
      if i // 20 == j // 20 and rng.random() < 0.4
    ]
  )
  ones = np.ones(len(pairs))
  return graph.Graph.from_edges(41, pairs[:, 0], pairs[:, 1], ones)


def test_members_of_a_community_get_similar_vectors() -> None:
  vectors = factorize.factorize(
    _two_communities(), num_factors=4, iterations=10, seed=3
  )
  assert vectors.dtype == np.float32
  assert vectors.shape == (41, 4)
  unit = vectors[:40] / np.linalg.norm(vectors[:40], axis=1, keepdims=True)
  cosine = unit @ unit.T
  same = np.equal.outer(np.arange(40) // 20, np.arange(40) // 20)
  np.fill_diagonal(same, False)
  assert cosine[same].mean() > cosine[:20, 20:].mean() + 0.5


def test_a_vertex_without_neighbours_gets_zeros() -> None:
  vectors = factorize.factorize(_two_communities(), num_factors=4, seed=3)
  assert not vectors[40].any()


def test_the_seed_decides_the_numbers() -> None:
  one, same, other = (
    factorize.factorize(
      _two_communities(), num_factors=4, iterations=3, seed=seed
    )
    for seed in (1, 1, 2)
  )
  np.testing.assert_array_equal(one, same)
  assert np.abs(one - other).max() > 0
