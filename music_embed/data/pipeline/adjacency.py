"""Questions to a co-listen graph, for a batch of vertices at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.mining import graph as graph_lib

_NUM_BUCKETS = 1 << 16


class Adjacency:
  """Neighbours and membership in a graph whose entries may be on disk.

  Attributes:
    num_vertices: of the graph.
  """

  def __init__(self, graph: graph_lib.Graph) -> None:
    """Wraps a graph; nothing is copied or read.

    Args:
      graph: rows by global index.
    """
    # Plain views: a result of np.memmap is one, which costs more to make than
    # many of the small reads here.
    self._starts = np.asarray(graph.starts)
    self._ends = np.asarray(graph.ends)
    self._indices = np.asarray(graph.indices)
    self.num_vertices = graph.num_vertices

  def degrees(self, vertices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Neighbours of each vertex, int64 [...]."""
    return self._ends[vertices] - self._starts[vertices]

  def row(self, vertex: int) -> npt.NDArray[Any]:
    """Sorted neighbours of a vertex, int32 [degree]."""
    return self._indices[self._starts[vertex] : self._ends[vertex]]

  def entries(
    self, vertices: npt.NDArray[Any], places: npt.NDArray[Any]
  ) -> npt.NDArray[Any]:
    """The neighbours at places of the vertices' rows.

    Args:
      vertices: indices, broadcast against `places`.
      places: from 0; one beyond the row gives a neighbour of another vertex.

    Returns:
      int64 of the broadcast shape.
    """
    found = self._indices.take(self._starts[vertices] + places, mode="clip")
    return found.astype(np.int64)

  def rank(
    self, vertices: npt.NDArray[Any], values: npt.NDArray[Any]
  ) -> npt.NDArray[Any]:
    """How many neighbours of each vertex lie below a value.

    Args:
      vertices: indices, broadcast against `values`.
      values: indices.

    Returns:
      int64 of the broadcast shape.
    """
    starts = self._starts[vertices]
    ends = self._ends[vertices]
    return graph_lib.bisect(self._indices, starts, ends, values) - starts

  def is_blocked(
    self, anchors: npt.NDArray[Any], others: npt.NDArray[Any]
  ) -> npt.NDArray[np.bool_]:
    """Whether each of `others` is the anchor itself or adjacent to it.

    Args:
      anchors: indices, broadcast against `others`.
      others: indices.

    Returns:
      bool of the broadcast shape.
    """
    starts, ends = self._starts[anchors], self._ends[anchors]
    place = graph_lib.bisect(self._indices, starts, ends, others)
    found = self._indices.take(place, mode="clip") == others
    return ((place < ends) & found) | (anchors == others)

  def allowed(
    self, anchors: npt.NDArray[Any], negatives: npt.NDArray[Any]
  ) -> npt.NDArray[np.bool_]:
    """Whether each negative may serve each anchor: not blocked by it.

    All rows of the anchors are read and marked in a small table of the
    negatives' low bits, which leaves few entries to be looked up exactly:
    the cost is that of reading the rows.

    Args:
      anchors: int64 [anchors].
      negatives: int64 [negatives].

    Returns:
      bool [anchors, negatives].
    """
    distinct, where = np.unique(negatives, return_inverse=True)
    starts = self._starts[anchors]
    degrees = self._ends[anchors] - starts
    before = np.cumsum(degrees) - degrees
    places = np.repeat(starts - before, degrees)
    places += np.arange(len(places))
    neighbors = self._indices.take(places, mode="clip")
    table = np.zeros(_NUM_BUCKETS, np.bool_)
    table[distinct % _NUM_BUCKETS] = True
    hits = np.flatnonzero(table.take(neighbors.astype(np.uint16)))
    column = np.searchsorted(distinct, neighbors[hits])
    column = np.minimum(column, len(distinct) - 1)
    exact = distinct[column] == neighbors[hits]
    row = np.searchsorted(before + degrees, hits[exact], side="right")
    allowed = anchors[:, None] != distinct
    allowed[row, column[exact]] = False
    return allowed[:, where.reshape(-1)]

  def second_neighbors(self, anchor: int, positive: int) -> npt.NDArray[Any]:
    """Neighbours of `positive` that are neither `anchor` nor adjacent to it."""
    rest = np.setdiff1d(
      self.row(positive), self.row(anchor), assume_unique=True
    )
    return rest[rest != anchor]

  def strangers(
    self, anchors: npt.NDArray[Any], ranks: npt.NDArray[Any], first: int
  ) -> npt.NDArray[Any]:
    """The vertices of given ranks among those not blocked by an anchor.

    The k-th number that is missing from a sorted row is k plus the number of
    entries that precede it, which bisection finds: entry e at place m has
    e - m missing numbers before it.

    Args:
      anchors: int64 [n].
      ranks: from 0, in the order of the indices, [n].
      first: the lowest index that may be a stranger; neighbours and anchors
        don't lie below it.

    Returns:
      int64 [n].
    """
    starts, degrees = self._starts[anchors], self.degrees(anchors)
    ranks = ranks + (ranks >= anchors - first - self.rank(anchors, anchors))
    low, lengths = np.zeros_like(degrees), degrees
    for _ in range(int(degrees.max(initial=0)).bit_length()):
      half = lengths >> 1
      middle = low + half
      entry = self._indices.take(starts + middle, mode="clip") - first
      before = (lengths > 0) & (entry - middle <= ranks)
      low = np.where(before, middle + 1, low)
      lengths = np.where(before, lengths - half - 1, half)
    return ranks + low + first
