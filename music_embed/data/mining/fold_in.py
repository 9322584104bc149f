"""Vectors for vertices that a factorisation has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import threadpoolctl

from music_embed.data.mining import graph as graph_lib

_VERTICES_AT_ONCE = 1 << 14


def fold_in(
  graph: graph_lib.Graph,
  vertices: npt.NDArray[Any],
  other: npt.NDArray[Any],
  *,
  known: range,
  regularization: float = 0.01,
  alpha: float = 10.0,
  num_threads: int = 1,
) -> npt.NDArray[Any]:
  """One half-step of ALS with the other side frozen (Hu et al. 2008, Eq. 4).

  Only a vertex's edges to known vertices count; each vertex is solved by
  itself, exactly. A known vertex gets nearly the vector it was fitted.

  Args:
    graph: holds the edges of `vertices`.
    vertices: int64 [n], to be folded in.
    other: float32 [vertices, num_factors], `factorize.Sides.other` of the
      graph among known vertices.
    known: vertices whose edges count.
    regularization: of the factorisation.
    alpha: of the factorisation.
    num_threads: have no influence on the result.

  Returns:
    float32 [n, num_factors]; zero for vertices without edges to known ones.
  """
  import implicit.als

  vectors = np.zeros((len(vertices), other.shape[1]), np.float32)
  with threadpoolctl.threadpool_limits(1, "blas"):
    model = implicit.als.AlternatingLeastSquares(
      factors=other.shape[1],
      regularization=regularization,
      alpha=1.0,  # The matrix holds it.
      dtype=np.float32,
      num_threads=num_threads,
      use_gpu=False,
    )
    model.item_factors = other
    for start in range(0, len(vertices), _VERTICES_AT_ONCE):
      some = vertices[start : start + _VERTICES_AT_ONCE]
      edges = _confidences(graph, some, known, alpha)
      vectors[start : start + len(some)] = model.recalculate_user(some, edges)
  return vectors


def _confidences(
  graph: graph_lib.Graph,
  vertices: npt.NDArray[Any],
  known: range,
  alpha: float,
) -> Any:
  """Edges of some vertices to known ones: csr_matrix [n, vertices]."""
  starts, ends = graph.starts[vertices], graph.ends[vertices]
  starts = graph_lib.bisect(graph.indices, starts, ends, known.start)
  ends = graph_lib.bisect(graph.indices, starts, ends, known.stop)
  indptr, indices, _ = graph_lib.Graph(
    starts, ends, graph.indices, graph.counts
  ).csr()
  shape = (len(vertices), graph.num_vertices)
  values = np.full(len(indices), alpha, np.float32)
  return scipy.sparse.csr_matrix((values, indices, indptr), shape=shape)
