"""The co-listen graph in compressed sparse rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Graph:
  """An undirected graph: every edge is stored in the rows of both its ends.

  Attributes:
    indptr: int64 [vertices + 1], where each row starts and ends.
    indices: int32 [entries], neighbours, sorted within a row.
    counts: int32 [entries], users who listened to both ends.
  """

  indptr: npt.NDArray[Any]
  indices: npt.NDArray[Any]
  counts: npt.NDArray[Any]

  @classmethod
  def from_edges(
    cls,
    num_vertices: int,
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    counts: npt.NDArray[Any],
  ) -> Graph:
    """Builds the graph from distinct undirected edges.

    Args:
      num_vertices: vertices, with and without edges.
      first: one end of each edge, [edges].
      second: the other end, [edges]; never the same vertex.
      counts: users who listened to both, [edges].

    Returns:
      The graph, with both directions of each edge.
    """
    rows = np.concatenate([first, second])
    columns = np.concatenate([second, first])
    order = np.lexsort((columns, rows))
    degrees = np.bincount(rows, minlength=num_vertices)
    return cls(
      indptr=np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64),
      indices=columns[order].astype(np.int32),
      counts=np.concatenate([counts, counts])[order].astype(np.int32),
    )

  @property
  def num_vertices(self) -> int:
    """Vertices, with and without neighbours."""
    return len(self.indptr) - 1

  @property
  def num_edges(self) -> int:
    """Undirected edges."""
    return len(self.indices) // 2

  @property
  def degrees(self) -> npt.NDArray[Any]:
    """Neighbours of each vertex, int64 [vertices]."""
    return np.diff(self.indptr)

  def neighbors(self, vertex: int) -> npt.NDArray[Any]:
    """Sorted neighbours of a vertex, int32 [degree]."""
    return self.indices[self.indptr[vertex] : self.indptr[vertex + 1]]

  def rows(self) -> npt.NDArray[Any]:
    """The vertex that each entry belongs to, int64 [entries]."""
    return np.repeat(np.arange(self.num_vertices), self.degrees)

  def pairs(self) -> npt.NDArray[Any]:
    """Each edge once, i < j, in lexicographic order: int64 [edges, 2]."""
    rows = self.rows()
    once = rows < self.indices
    return np.stack([rows[once], self.indices[once].astype(np.int64)], axis=1)

  def pairs_among(self, vertices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Edges among chosen vertices, by their positions in `vertices`.

    Args:
      vertices: int64 [chosen], sorted, each once.

    Returns:
      int64 [edges, 2], i < j.
    """
    position = np.full(self.num_vertices, -1, np.int64)
    position[vertices] = np.arange(len(vertices))
    edges = position[self.pairs()]
    return edges[(edges >= 0).all(axis=1)]

  def restrict(self, vertices: range) -> Graph:
    """The same vertices, with only the edges inside a range of them.

    Args:
      vertices: contiguous indices; both ends of a kept edge lie in it.

    Returns:
      A graph of as many vertices; indices stay global.
    """
    rows = self.rows()
    inside = (rows >= vertices.start) & (rows < vertices.stop)
    inside &= (self.indices >= vertices.start) & (self.indices < vertices.stop)
    degrees = np.bincount(rows[inside], minlength=self.num_vertices)
    return Graph(
      indptr=np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64),
      indices=self.indices[inside],
      counts=self.counts[inside],
    )
