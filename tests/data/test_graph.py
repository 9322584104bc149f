"""The graph in compressed sparse rows."""

import numpy as np

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
  assert inner.pairs().tolist() == [[1, 2], [2, 3]]
  assert inner.counts.tolist() == [9, 9, 7, 7]


def test_pairs_among_chosen_vertices_are_by_position():
  edges = graph.Graph.from_edges(
    9, np.array([2, 4, 4]), np.array([4, 7, 8]), np.array([1, 1, 1])
  )
  assert edges.pairs_among(np.array([2, 4, 8])).tolist() == [[0, 1], [1, 2]]
  assert edges.pairs_among(np.array([0, 1])).shape == (0, 2)
