"""Factorisation of a graph with two communities."""

import numpy as np
import pytest

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


def test_the_number_of_threads_has_no_influence() -> None:
  one, two, four = (
    factorize.sides(
      _two_communities(), num_factors=8, iterations=5, seed=1, num_threads=n
    )
    for n in (1, 2, 4)
  )
  for other in (two, four):
    np.testing.assert_array_equal(one.vectors, other.vectors)
    np.testing.assert_array_equal(one.other, other.other)


def test_the_vectors_are_the_side_that_is_solved_first() -> None:
  sides = factorize.sides(_two_communities(), num_factors=4, seed=3)
  vectors = factorize.factorize(_two_communities(), num_factors=4, seed=3)
  np.testing.assert_array_equal(sides.vectors, vectors)
  assert sides.other.shape == vectors.shape
  assert not sides.other[40].any()


def test_rounds_are_told_with_the_time_that_is_left(
  monkeypatch: pytest.MonkeyPatch,
) -> None:
  monkeypatch.setattr(factorize, "_SECONDS_BETWEEN_LINES", 0.0)
  lines: list[str] = []
  factorize.sides(
    _two_communities(), num_factors=2, iterations=3, seed=0, say=lines.append
  )
  assert [line.split(",")[0].strip() for line in lines] == [
    f"round {done} of 3" for done in (1, 2, 3)
  ]
  assert all(line.endswith("s left") for line in lines)


def test_a_part_of_a_graph_gives_the_matrix_of_its_own_rows() -> None:
  whole = _two_communities()
  part = whole.restrict(range(25))
  matrix = factorize.confidences(part, 3.0)
  assert matrix.shape == (41, 41)
  assert matrix.nnz == int(part.degrees.sum())
  dense = matrix.toarray()
  expected = factorize.confidences(whole, 3.0).toarray()
  np.testing.assert_array_equal(dense[:25, :25], expected[:25, :25])
  assert not dense[25:].any()


def test_memory_grows_with_entries_and_with_vertices_times_factors() -> None:
  # 2 matrices of 4 + 4 bytes an entry and a copy of 4; 2 sides of 4 bytes a
  # factor, 2 x 4 + 8 + 1 bytes of bounds and degrees.
  assert factorize.memory_bytes(10, 100, 8) == 20 * 100 + (64 + 17) * 10
  large = 3_000_000_000
  assert factorize.memory_bytes(1, large, 1) == 28 * large + 8 + 25
