"""Caps on degrees against the plain greedy they stand for."""

import collections

import numpy as np
import pytest

from music_embed.data.mining import capping

_HASHES = np.random.default_rng(5).integers(0, 2**63, 60).astype(np.uint64)


def _random_edges(seed: int, num: int = 500) -> np.ndarray:
  rng = np.random.default_rng(seed)
  ends = np.unique(np.sort(rng.integers(0, 60, (num, 2)), axis=1), axis=0)
  ends = ends[ends[:, 0] < ends[:, 1]]
  # Few distinct counts make many ties.
  return np.column_stack([ends, rng.integers(3, 7, len(ends))])


def _greedy(edges: np.ndarray, cap: int) -> set[tuple[int, ...]]:
  degrees: collections.Counter[int] = collections.Counter()
  kept = set()
  for low, high, count in edges[capping.edge_order(edges, _HASHES)].tolist():
    if degrees[low] < cap and degrees[high] < cap:
      degrees.update((low, high))
      kept.add((low, high, count))
  return kept


@pytest.mark.parametrize("cap", [1, 3, 8, 1000])
def test_capping_keeps_what_a_greedy_pass_keeps(cap: int) -> None:
  for seed in range(5):
    edges = _random_edges(seed)
    kept = capping.cap_degrees(edges, _HASHES, cap)
    assert {tuple(edge) for edge in kept.tolist()} == _greedy(edges, cap)
    assert np.bincount(kept[:, :2].ravel()).max() <= cap


def test_the_order_of_the_edges_makes_no_difference() -> None:
  edges = _random_edges(1)
  shuffled = np.random.default_rng(2).permutation(edges)
  one = capping.cap_degrees(edges, _HASHES, 4)
  other = capping.cap_degrees(shuffled, _HASHES, 4)
  np.testing.assert_array_equal(one, other)


def test_edges_that_hash_alike_still_have_one_order() -> None:
  edges = np.array([[0, 1, 5], [2, 3, 9], [4, 5, 5], [0, 2, 3]])
  alike = np.full(6, 7, np.uint64)
  assert capping.edge_order(edges, alike).tolist() == [1, 0, 2, 3]


def _strongest(edges: np.ndarray, cap: int) -> list[list[int]]:
  kept = capping.strongest(*edges.T, hashes=_HASHES, cap=cap)
  return edges[kept].tolist()


def test_ties_do_not_favour_small_indices() -> None:
  star = np.array([[0, i, 5] for i in range(1, 60)])
  kept = _strongest(star, 10)
  assert len(kept) == 10
  assert [edge[1] for edge in kept] != list(range(1, 11))


def test_each_recording_keeps_its_strongest_edges() -> None:
  edges = np.array([[7, 1, 3], [7, 2, 9], [7, 3, 5], [8, 0, 3], [8, 2, 4]])
  expected = [[7, 2, 9], [7, 3, 5], [8, 0, 3], [8, 2, 4]]
  assert _strongest(edges, 2) == expected


@pytest.mark.parametrize("largest", [6, 120, 400, 100_000])
def test_the_strongest_are_those_of_a_sort(largest: int) -> None:
  rng = np.random.default_rng(largest)
  edges = np.column_stack(
    [rng.integers(10, 14, 900), rng.integers(0, 60, 900), np.zeros(900, int)]
  )
  edges = np.unique(edges, axis=0)
  edges[:, 2] = 3 + (rng.pareto(0.5, len(edges)) * 3).astype(int) % largest
  for cap in (1, 7, 40):
    expected = []
    for row in range(10, 14):
      own = edges[edges[:, 0] == row]
      expected += own[capping.edge_order(own, _HASHES)[:cap]].tolist()
    assert _strongest(edges, cap) == sorted(expected)


def test_a_pair_is_contested_where_all_its_over_full_ends_gave_it() -> None:
  is_over = np.array([True, True, False, True, True])
  edges = np.array([[4, 1, 3], [1, 4, 3], [0, 2, 5], [1, 3, 6]])
  pairs = capping.undirected(edges, is_over)
  assert pairs.tolist() == [[0, 2, 5], [1, 4, 3]]


@pytest.mark.parametrize("cap", [1, 3, 8, 15])
def test_what_is_hopeless_a_greedy_pass_drops(cap: int) -> None:
  for seed in range(5):
    edges = _random_edges(seed)
    degrees = np.bincount(edges[:, :2].ravel(), minlength=60)
    is_over = degrees > cap
    both = np.concatenate([edges, edges[:, [1, 0, 2]]])
    given = both[is_over[both[:, 0]]]
    hopeful = capping.hopeful(
      given[:, 0], given[:, 2], ~is_over[given[:, 1]], cap
    )
    pairs = capping.undirected(given[hopeful], is_over)
    kept = capping.cap_degrees(pairs, _HASHES, cap).tolist()
    uncontested = edges[~is_over[edges[:, :2]].any(axis=1)].tolist()
    assert {tuple(edge) for edge in kept + uncontested} == _greedy(edges, cap)
