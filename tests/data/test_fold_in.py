"""Vertices that were not factorised, folded into a graph of communities."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from music_embed.data.mining import factorize, fold_in
from music_embed.data.mining import graph as graph_lib

_COMMUNITIES, _SIZE, _HELD_OUT = 4, 40, 20
_KNOWN = range(_COMMUNITIES * _SIZE - _HELD_OUT)
_ALONE = _COMMUNITIES * _SIZE


def _graph() -> tuple[graph_lib.Graph, npt.NDArray[Any]]:
  """Shuffled communities and a vertex without neighbours at the end."""
  rng = np.random.default_rng(0)
  group = rng.permutation(np.repeat(np.arange(_COMMUNITIES), _SIZE))
  likely = np.where(group[:, None] == group[None], 0.4, 0.02)
  pairs = np.argwhere(np.triu(rng.random((_ALONE, _ALONE)) < likely, k=1))
  graph = graph_lib.Graph.from_edges(
    _ALONE + 1, pairs[:, 0], pairs[:, 1], np.ones(len(pairs))
  )
  return graph, group


def _cosines(
  first: npt.NDArray[Any], second: npt.NDArray[Any]
) -> npt.NDArray[Any]:
  norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
  return np.einsum("vf,vf->v", first, second) / norms


def test_known_vertices_get_about_what_they_were_fitted() -> None:
  graph, _ = _graph()
  sides = factorize.sides(
    graph.restrict(_KNOWN), num_factors=6, iterations=15, seed=1
  )
  again = fold_in.fold_in(
    graph, np.arange(_KNOWN.stop), sides.other, known=_KNOWN
  )
  assert _cosines(again, sides.vectors[: _KNOWN.stop]).min() > 0.99


def test_held_out_vertices_come_to_lie_in_their_community() -> None:
  graph, group = _graph()
  sides = factorize.sides(
    graph.restrict(_KNOWN), num_factors=6, iterations=15, seed=1
  )
  held_out = np.arange(_KNOWN.stop, _ALONE)
  vectors = fold_in.fold_in(graph, held_out, sides.other, known=_KNOWN)
  known = sides.vectors[: _KNOWN.stop]
  cosine = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ (
    known / np.linalg.norm(known, axis=1, keepdims=True)
  ).T
  centers = np.stack(
    [cosine[:, group[: _KNOWN.stop] == g].mean(axis=1) for g in range(4)]
  )
  np.testing.assert_array_equal(centers.argmax(axis=0), group[held_out])


def test_it_is_the_half_step_of_hu_koren_and_volinsky() -> None:
  graph, _ = _graph()
  other = np.random.default_rng(1).standard_normal((_ALONE + 1, 5))
  other = other.astype(np.float32)
  vertex = _KNOWN.stop + 3
  (found,) = fold_in.fold_in(
    graph,
    np.array([vertex]),
    other,
    known=_KNOWN,
    regularization=0.5,
    alpha=7.0,
  )
  neighbors = [v for v in graph.neighbors(vertex) if v in _KNOWN]
  confidence = np.ones(len(other))
  confidence[neighbors] = 7.0
  preference = np.zeros(len(other))
  preference[neighbors] = 1.0
  left = other.T @ (confidence[:, None] * other) + 0.5 * np.eye(5)
  expected = np.linalg.solve(left, other.T @ (confidence * preference))
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_edges_among_held_out_vertices_do_not_count() -> None:
  graph, _ = _graph()
  pairs = graph.pairs()
  kept = pairs[pairs[:, 0] < _KNOWN.stop]
  without = graph_lib.Graph.from_edges(
    _ALONE + 1, kept[:, 0], kept[:, 1], np.ones(len(kept))
  )
  assert without.num_edges < graph.num_edges
  sides = factorize.sides(graph.restrict(_KNOWN), num_factors=4, seed=0)
  held_out = np.arange(_KNOWN.stop, _ALONE + 1)
  one, same = (
    fold_in.fold_in(g, held_out, sides.other, known=_KNOWN)
    for g in (graph, without)
  )
  np.testing.assert_array_equal(one, same)
  assert not one[-1].any()


@pytest.mark.parametrize("num_threads", [2, 4])
def test_blocks_and_threads_have_no_influence(
  num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
  graph, _ = _graph()
  sides = factorize.sides(graph.restrict(_KNOWN), num_factors=4, seed=0)
  some = np.arange(0, _ALONE + 1, 3)
  whole = fold_in.fold_in(graph, some, sides.other, known=_KNOWN)
  monkeypatch.setattr(fold_in, "_VERTICES_AT_ONCE", 7)
  parts = fold_in.fold_in(
    graph, some, sides.other, known=_KNOWN, num_threads=num_threads
  )
  np.testing.assert_array_equal(whole, parts)
