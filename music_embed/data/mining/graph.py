"""The co-listen graph in compressed sparse rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Graph:
  """An undirected graph: every edge is stored in the rows of both its ends.

  The arrays may be memory-mapped, and `indices` and `counts` may hold more
  than the rows of this graph: a graph restricted to a range of vertices has
  rows of its own and shares the entries with the graph it was made from.

  Attributes:
    starts: int64 [vertices], where each row starts in the entries.
    ends: int64 [vertices], where it ends.
    indices: int32 [entries], neighbours, sorted within a row.
    counts: int32 [entries], users who listened to both ends.
  """

  starts: npt.NDArray[Any]
  ends: npt.NDArray[Any]
  indices: npt.NDArray[Any]
  counts: npt.NDArray[Any]

  @classmethod
  def from_csr(
    cls,
    indptr: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    counts: npt.NDArray[Any],
  ) -> Graph:
    """A graph whose rows lie one after another.

    Args:
      indptr: int64 [vertices + 1], where each row starts and ends.
      indices: int32 [entries].
      counts: int32 [entries].

    Returns:
      The graph, which shares the arrays.
    """
    return cls(indptr[:-1], indptr[1:], indices, counts)

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
    return cls.from_csr(
      np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64),
      columns[order].astype(np.int32),
      np.concatenate([counts, counts])[order].astype(np.int32),
    )

  @property
  def num_vertices(self) -> int:
    """Vertices, with and without neighbours."""
    return len(self.starts)

  @property
  def num_edges(self) -> int:
    """Undirected edges."""
    return int(self.degrees.sum()) // 2

  @property
  def degrees(self) -> npt.NDArray[Any]:
    """Neighbours of each vertex, int64 [vertices]."""
    return self.ends - self.starts

  def neighbors(self, vertex: int) -> npt.NDArray[Any]:
    """Sorted neighbours of a vertex, int32 [degree]."""
    return self.indices[self.starts[vertex] : self.ends[vertex]]

  def csr(
    self,
  ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """(indptr, indices, counts) with the rows one after another.

    Returns:
      int64 [vertices + 1], int32 [entries], int32 [entries]; the last two
      are copied only where they hold more than the rows of this graph.
    """
    degrees = self.degrees
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    if indptr[-1] == len(self.indices):
      return indptr, self.indices, self.counts
    places = np.arange(indptr[-1]) + np.repeat(
      self.starts - indptr[:-1], degrees
    )
    return indptr, self.indices[places], self.counts[places]

  def rows(self) -> npt.NDArray[Any]:
    """The vertex that each entry of `csr` belongs to, int64 [entries]."""
    return np.repeat(np.arange(self.num_vertices), self.degrees)

  def pairs(self) -> npt.NDArray[Any]:
    """Each edge once, i < j, in lexicographic order: int64 [edges, 2]."""
    rows, indices = self.rows(), self.csr()[1]
    once = rows < indices
    return np.stack([rows[once], indices[once].astype(np.int64)], axis=1)

  def pairs_among(self, vertices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Edges among chosen vertices, by their positions in `vertices`.

    Reads the rows of these vertices only.

    Args:
      vertices: int64 [chosen], sorted, each once.

    Returns:
      int64 [edges, 2], i < j, in lexicographic order.
    """
    chosen = Graph(
      self.starts[vertices], self.ends[vertices], self.indices, self.counts
    )
    indptr, neighbors, _ = chosen.csr()
    first = np.repeat(np.arange(len(vertices)), np.diff(indptr))
    second = np.searchsorted(vertices, neighbors)
    known = second < len(vertices)
    known[known] = vertices[second[known]] == neighbors[known]
    known &= first < second
    return np.stack([first[known], second[known]], axis=1)

  def restrict(self, vertices: range) -> Graph:
    """The same vertices, with only the edges inside a range of them.

    Rows are sorted, so what stays of a row is one stretch of it: the entries
    are shared, not copied.

    Args:
      vertices: contiguous indices; both ends of a kept edge lie in it.

    Returns:
      A graph of as many vertices; indices stay global.
    """
    inside = slice(vertices.start, max(vertices.stop, vertices.start))
    rows = self.starts[inside], self.ends[inside]
    starts, ends = np.zeros((2, self.num_vertices), np.int64)
    starts[inside] = bisect(self.indices, *rows, vertices.start)
    ends[inside] = bisect(self.indices, starts[inside], rows[1], inside.stop)
    return Graph(starts, ends, self.indices, self.counts)


def bisect(
  indices: npt.NDArray[Any],
  low: npt.NDArray[Any],
  high: npt.NDArray[Any],
  values: npt.NDArray[Any] | int,
) -> npt.NDArray[Any]:
  """First place in sorted stretches whose entry is no less than a value.

  Args:
    indices: [entries], sorted within each stretch.
    low: int64, where the stretches start, broadcast against the others.
    high: int64, where they end.
    values: what to look for.

  Returns:
    int64 of the broadcast shape, in [low, high].
  """
  low, high, values = np.broadcast_arrays(low, high, values)
  lengths = high - low
  # Halves lengths instead of moving both ends, which takes less a round.
  for _ in range(int(lengths.max(initial=0)).bit_length()):
    half = lengths >> 1
    middle = low + half
    # An empty stretch looks at what follows it, and the guard ignores it.
    smaller = (lengths > 0) & (indices.take(middle, mode="clip") < values)
    low = np.where(smaller, middle + 1, low)
    lengths = np.where(smaller, lengths - half - 1, half)
  return low
