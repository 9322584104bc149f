"""The graph in compressed sparse rows."""

import numpy as np
import pytest

from music_embed.data.mining import graph


def _square() -> graph.Graph:
  return graph.Graph.from_edges(
    5,
    np.array([3, 0, 1, 0]),
    np.array([2, 1, 2, 3]),
    np.array([7, 8, 9, 10]),
  )


def test_both_ends_of_an_edge_know_it() -> None:
  square = _square()
  rows = [square.neighbors(i).tolist() for i in range(5)]
  assert rows == [[1, 3], [0, 2], [1, 3], [0, 2], []]
  assert square.counts.tolist() == [8, 10, 8, 9, 9, 7, 10, 7]
  assert square.num_vertices == 5
  assert square.num_edges == 4
  assert square.degrees.tolist() == [2, 2, 2, 2, 0]


def test_pairs_name_each_edge_once() -> None:
  assert _square().pairs().tolist() == [[0, 1], [0, 3], [1, 2], [2, 3]]


def test_a_restricted_graph_keeps_indices_and_inner_edges() -> None:
  inner = _square().restrict(range(1, 4))
  assert inner.num_vertices == 5
  assert inner.num_edges == 2
  assert inner.pairs().tolist() == [[1, 2], [2, 3]]
  assert inner.degrees.tolist() == [0, 1, 2, 1, 0]
  assert [inner.neighbors(i).tolist() for i in range(1, 4)] == [
    [2],
    [1, 3],
    [2],
  ]
  indptr, indices, counts = inner.csr()
  assert indptr.tolist() == [0, 0, 1, 3, 4, 4]
  assert indices.tolist() == [2, 1, 3, 2]
  assert counts.tolist() == [9, 9, 7, 7]
  assert inner.restrict(range(2, 5)).pairs().tolist() == [[2, 3]]


def test_restricting_copies_no_entry() -> None:
  square = _square()
  inner = square.restrict(range(1, 4))
  assert inner.indices is square.indices
  assert inner.counts is square.counts


@pytest.mark.parametrize("kept", [range(0), range(20, 20), range(3, 17)])
def test_restricting_agrees_with_sets_of_pairs(kept: range) -> None:
  rng = np.random.default_rng(0)
  low, high = np.triu_indices(20, 1)
  drawn = rng.random(len(low)) < 0.4
  whole = graph.Graph.from_edges(
    20, low[drawn], high[drawn], np.ones(drawn.sum())
  )
  expected = [
    p for p in whole.pairs().tolist() if p[0] in kept and p[1] in kept
  ]
  assert whole.restrict(kept).pairs().tolist() == expected


def test_bisection_agrees_with_searchsorted() -> None:
  rng = np.random.default_rng(0)
  rows = [np.sort(rng.choice(50, n, replace=False)) for n in (0, 1, 2, 9, 33)]
  ends = np.cumsum([len(row) for row in rows])
  starts = ends - [len(row) for row in rows]
  values = np.arange(-1, 52)
  found = graph.bisect(
    np.concatenate(rows), starts[:, None], ends[:, None], values
  )
  for start, row, places in zip(starts, rows, found, strict=True):
    assert (places - start).tolist() == np.searchsorted(row, values).tolist()


def test_pairs_among_chosen_vertices_are_by_position() -> None:
  edges = graph.Graph.from_edges(
    9, np.array([2, 4, 4]), np.array([4, 7, 8]), np.array([1, 1, 1])
  )
  assert edges.pairs_among(np.array([2, 4, 8])).tolist() == [[0, 1], [1, 2]]
  assert edges.pairs_among(np.array([0, 1])).shape == (0, 2)
