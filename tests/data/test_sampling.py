"""Triplets against Python sets, and their distribution."""

import collections

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.mining import graph
from music_embed.data.pipeline import adjacency, sampling


def _random_graph(
  num: int, density: float, offset: int = 0, seed: int = 0
) -> graph.Graph:
  """A graph over `num` vertices of which the first `offset` have no edges."""
  rng = np.random.default_rng(seed)
  low, high = np.triu_indices(num - offset, 1)
  kept = rng.random(len(low)) < density
  ones = np.ones(kept.sum())
  return graph.Graph.from_edges(
    num, low[kept] + offset, high[kept] + offset, ones
  )


def _sampler(
  of: graph.Graph,
  *,
  recordings: range | None = None,
  batch_triplets: int = 64,
  share: float = 0.0,
  seed: int = 0,
) -> sampling.TripletSampler:
  return sampling.TripletSampler(
    of,
    recordings or range(of.num_vertices),
    batch_triplets=batch_triplets,
    random_negative_share=share,
    seed=seed,
  )


def _sets(of: graph.Graph) -> list[set[int]]:
  return [set(of.neighbors(i).tolist()) for i in range(of.num_vertices)]


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_positives_are_neighbours_and_negatives_never_adjacent(
  density: float, share: float
) -> None:
  of = _random_graph(60, density, offset=10)
  sets = _sets(of)
  sampler = _sampler(of, recordings=range(10, 60), share=share)
  for step in range(60):
    for anchor, positive, negative in sampler.triplets(step).tolist():
      assert positive in sets[anchor]
      assert negative not in sets[anchor]
      assert negative != anchor
      assert 10 <= negative < 60


def test_negatives_are_the_positives_neighbours_where_there_are_any() -> None:
  of = _random_graph(60, 0.5)
  sets = _sets(of)
  num_last_resort = 0
  for step in range(40):
    for a, p, n in _sampler(of).triplets(step).tolist():
      if n not in sets[p]:
        assert not sets[p] - sets[a] - {a}
        num_last_resort += 1
  assert num_last_resort == 0
  # A path 0 - 1 - 2, and 3 apart: only (1, 0) and (1, 2) have no hard one.
  path = graph.Graph.from_edges(
    4, np.array([0, 1]), np.array([1, 2]), np.ones(2)
  )
  seen = {tuple(t) for t in _sampler(path).triplets(0).tolist()}
  assert seen == {(0, 1, 2), (2, 1, 0), (1, 0, 3), (1, 2, 3)}


def test_a_single_allowed_neighbour_is_found_after_four_failures() -> None:
  # 0 is adjacent to all of 1 .. 20; 1 is adjacent to those, and to 21.
  hub = [(0, i) for i in range(1, 21)] + [(1, i) for i in range(2, 22)]
  pairs = np.array(hub + [(21, 22)])
  of = graph.Graph.from_edges(23, pairs[:, 0], pairs[:, 1], np.ones(len(pairs)))
  triplets = _sampler(of, batch_triplets=3000).triplets(0)
  of_interest = (triplets[:, 0] == 0) & (triplets[:, 1] == 1)
  assert of_interest.sum() >= 2
  assert set(triplets[of_interest, 2].tolist()) == {21}


def _assert_uniform(values: np.ndarray, expected: set[int]) -> None:
  counts = collections.Counter(values.tolist())
  assert set(counts) == expected
  mean = len(values) / len(expected)
  deviations = (np.array(list(counts.values())) - mean) / np.sqrt(mean)
  assert np.abs(deviations).max() < 4.5


def test_anchors_positives_and_negatives_are_uniform() -> None:
  of = _random_graph(40, 0.15, offset=5, seed=3)
  sets = _sets(of)
  sampler = _sampler(of, recordings=range(5, 40), batch_triplets=60_000)
  triplets = sampler.triplets(0)
  _assert_uniform(triplets[:, 0], {i for i, n in enumerate(sets) if n})
  anchor = max(range(40), key=lambda i: len(sets[i]))
  of_anchor = triplets[triplets[:, 0] == anchor]
  _assert_uniform(of_anchor[:, 1], sets[anchor])
  positive = max(sets[anchor], key=lambda p: len(sets[p] - sets[anchor]))
  of_pair = of_anchor[of_anchor[:, 1] == positive]
  _assert_uniform(of_pair[:, 2], sets[positive] - sets[anchor] - {anchor})


def test_random_negatives_are_uniform_over_all_strangers() -> None:
  of = _random_graph(40, 0.3, offset=5, seed=3)
  sets = _sets(of)
  sampler = _sampler(
    of, recordings=range(3, 40), batch_triplets=60_000, share=1.0
  )
  triplets = sampler.triplets(0)
  for anchor in range(5, 40):
    negatives = triplets[triplets[:, 0] == anchor, 2]
    _assert_uniform(negatives, set(range(3, 40)) - sets[anchor] - {anchor})


def test_the_share_of_random_negatives_is_met() -> None:
  # Hard negatives of 0 - 1 are {2}; strangers of 0 are 2 .. 101.
  path = np.array([[0, 1], [1, 2]])
  of = graph.Graph.from_edges(102, path[:, 0], path[:, 1], np.ones(2))
  triplets = _sampler(of, batch_triplets=20_000, share=0.3).triplets(0)
  from_0 = triplets[triplets[:, 0] == 0]
  share = np.mean(from_0[:, 2] != 2)
  assert abs(share - 0.3 * 99 / 100) < 0.02


def test_a_batch_depends_on_seed_and_step_alone() -> None:
  of = _random_graph(60, 0.1)
  one, same = _sampler(of, seed=4), _sampler(of, seed=4)
  later = [same.triplets(step) for step in range(10)][7]
  np.testing.assert_array_equal(one.triplets(7), later)
  assert (one.triplets(7) != one.triplets(8)).any()
  assert (one.triplets(7) != _sampler(of, seed=5).triplets(7)).any()


@pytest.mark.parametrize("density", [0.05, 0.6])
def test_allowed_negatives_follow_from_adjacency(density: float) -> None:
  of = _random_graph(50, density)
  sets = _sets(of)
  sampler = _sampler(of)
  for step in range(10):
    triplets = sampler.triplets(step)
    allowed = sampler.negative_allowed(triplets)
    assert allowed.diagonal().all()
    for i, anchor in enumerate(triplets[:, 0].tolist()):
      for j, negative in enumerate(triplets[:, 2].tolist()):
        expected = negative != anchor and negative not in sets[anchor]
        assert allowed[i, j] == expected


def test_membership_agrees_with_sets() -> None:
  of = _random_graph(50, 0.2, offset=5)
  sets = _sets(of)
  vertices = np.arange(5, 50)
  blocked = adjacency.Adjacency(of).is_blocked(vertices[:, None], np.arange(50))
  for row, vertex in enumerate(vertices.tolist()):
    expected = [i in sets[vertex] or i == vertex for i in range(50)]
    assert blocked[row].tolist() == expected


def test_anchors_without_any_negative_are_not_drawn() -> None:
  star = np.array([[0, i] for i in range(1, 5)])
  of = graph.Graph.from_edges(5, star[:, 0], star[:, 1], np.ones(4))
  assert 0 not in _sampler(of).triplets(0)[:, 0]


def test_a_graph_without_edges_is_refused() -> None:
  nothing = np.empty(0, np.int64)
  empty = graph.Graph.from_edges(5, nothing, nothing, nothing)
  with pytest.raises(errors.DataError, match="no triplet can be drawn"):
    _sampler(empty)


def test_windows_start_anywhere_within_their_recording() -> None:
  draws = np.random.default_rng(0).random(30_000)
  starts = sampling.uniform_starts(np.full(30_000, 15), 10, draws)
  _assert_uniform(starts, set(range(6)))
  draws = np.array([0.0, 0.999999])
  assert sampling.uniform_starts(np.array([10, 10]), 10, draws).tolist() == [
    0,
    0,
  ]
