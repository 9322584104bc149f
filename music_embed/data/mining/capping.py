"""Keeps the strongest edges so that no recording has too many neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.mining import hashing


def edge_order(
  edges: npt.NDArray[Any], hashes: npt.NDArray[Any]
) -> npt.NDArray[Any]:
  """Strongest edges first; ties in the order of a hash of the pair.

  Args:
    edges: int64 [edges, 3]: two recordings and their count.
    hashes: uint64 [recordings], keyed hash of each recording's id.

  Returns:
    int64 [edges], positions. Both directions of an edge rank alike, and the
    order does not favour small indices (which are those of training).
  """
  first, second, counts = edges.T
  ties = hashing.mix(hashes[first] ^ hashes[second])
  return np.lexsort((ties, -counts))


def strongest(
  edges: npt.NDArray[Any], hashes: npt.NDArray[Any], cap: int
) -> npt.NDArray[Any]:
  """Each recording's strongest directed edges.

  Args:
    edges: int64 [edges, 3], from column 0 to column 1.
    hashes: uint64 [recordings].
    cap: edges that may start at a recording.

  Returns:
    int64 [kept, 3], in no particular order.
  """
  is_over = (np.bincount(edges[:, 0]) > cap)[edges[:, 0]]
  over = edges[is_over]
  over = over[edge_order(over, hashes)]
  over = over[_rank_within(over[:, 0]) < cap]
  return np.concatenate([edges[~is_over], over])


def undirected(edges: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """Each pair once, smaller index first, whichever directions were kept."""
  low, high = edges[:, :2].min(axis=1), edges[:, :2].max(axis=1)
  order = np.lexsort((high, low))
  low, high, counts = low[order], high[order], edges[order, 2]
  new = (np.diff(low, prepend=-1) != 0) | (np.diff(high, prepend=-1) != 0)
  return np.stack([low, high, counts], axis=1)[new]


def cap_degrees(
  edges: npt.NDArray[Any], hashes: npt.NDArray[Any], cap: int
) -> npt.NDArray[Any]:
  """Caps the degrees of an undirected graph, keeping it symmetric.

  The result is that of taking edges from the strongest to the weakest while
  both ends have room. It is found in rounds: every recording asks for its
  strongest remaining edges, as many as it has room for; those that both ends
  ask for are kept, those with a full end dropped.

  Args:
    edges: int64 [edges, 3], each pair once.
    hashes: uint64 [recordings].
    cap: largest degree.

  Returns:
    int64 [kept, 3], in no particular order.
  """
  edges = edges[edge_order(edges, hashes)]
  room = np.full(len(hashes), cap, np.int64)
  kept = [edges[:0]]
  while len(edges):
    ends = edges[:, :2]
    # Ranks count both columns: an edge is one request at either end.
    ranks = _rank_within(ends.ravel()).reshape(-1, 2)
    mutual = (ranks < room[ends]).all(axis=1)
    kept.append(edges[mutual])
    room -= np.bincount(ends[mutual].ravel(), minlength=len(room))
    edges = edges[~mutual & (room[ends] > 0).all(axis=1)]
  return np.concatenate(kept)


def _rank_within(groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """How many earlier entries belong to the same group, [entries]."""
  order = np.argsort(groups, kind="stable")
  starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
  lengths = np.diff(starts, append=len(groups))
  ranks = np.empty(len(groups), np.int64)
  ranks[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
  return ranks
