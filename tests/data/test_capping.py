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
  assert {tuple(e) for e in one.tolist()} == {tuple(e) for e in other.tolist()}


def test_ties_do_not_favour_small_indices() -> None:
  star = np.array([[0, i, 5] for i in range(1, 60)])
  kept = capping.strongest(star, _HASHES, 10)
  assert len(kept) == 10
  assert sorted(kept[:, 1]) != list(range(1, 11))


def test_each_recording_keeps_its_strongest_edges() -> None:
  edges = np.array([[0, 1, 3], [0, 2, 9], [0, 3, 5], [1, 0, 3], [1, 2, 4]])
  kept = capping.strongest(edges, _HASHES, 2)
  expected = [[0, 2, 9], [0, 3, 5], [1, 0, 3], [1, 2, 4]]
  assert sorted(kept.tolist()) == expected


def test_a_pair_kept_by_either_end_is_kept_once() -> None:
  edges = np.array([[4, 1, 3], [1, 4, 3], [2, 0, 5]])
  assert capping.undirected(edges).tolist() == [[0, 2, 5], [1, 4, 3]]
