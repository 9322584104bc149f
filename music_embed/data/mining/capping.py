"""Keeps the strongest edges so that no recording has too many neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.mining import hashing

_LEVELS = 128
"""Counts told apart by counting; larger ones are sorted."""


def edge_order(
  edges: npt.NDArray[Any], hashes: npt.NDArray[Any]
) -> npt.NDArray[Any]:
  """Strongest edges first; ties in the order of a hash of the pair.

  Args:
    edges: integers [edges, 3]: two recordings and their count.
    hashes: uint64 [recordings], keyed hash of each recording's id.

  Returns:
    int64 [edges], positions. Both directions of an edge rank alike, and the
    order does not favour small indices (which are those of training).
  """
  first, second, counts = edges.T
  ties = hashing.mix(hashes[first] ^ hashes[second])
  weakness = counts.max(initial=0) - counts
  bits = np.uint64(max(1, int(weakness.max(initial=0)).bit_length()))
  # One key of both sorts faster than two, as long as it tells them apart.
  keys = weakness.astype(np.uint64) << (np.uint64(64) - bits) | ties >> bits
  order = np.argsort(keys)
  if (np.diff(keys[order]) == 0).any():
    return np.lexsort((ties, weakness))
  return order


def strongest(
  first: npt.NDArray[Any],
  second: npt.NDArray[Any],
  counts: npt.NDArray[Any],
  *,
  hashes: npt.NDArray[Any],
  cap: int,
) -> npt.NDArray[Any]:
  """Each recording's strongest directed edges.

  Args:
    first: recording that the edge starts at, integers [edges]; their range
      should be narrow, for it is counted in.
    second: recording that it leads to, [edges].
    counts: users who listened to both, [edges].
    hashes: uint64 [recordings].
    cap: edges that may start at a recording.

  Returns:
    Positions of the edges that are kept, sorted, int64 [kept].
  """
  rows = first - first.min(initial=len(hashes))
  is_over = np.bincount(rows) > cap
  over = np.flatnonzero(is_over[rows])
  kept = np.ones(len(first), bool)
  kept[over] = False
  rows = (np.cumsum(is_over) - 1)[rows[over]]
  levels = np.minimum(counts[over], _LEVELS - 1)
  above = _at_or_above(rows, levels, int(np.count_nonzero(is_over)))
  # The count at which a row is full: above it all are kept, below it none.
  limits = np.count_nonzero(above >= cap, axis=1) - 1
  room = cap - above[np.arange(len(above)), limits + 1]
  kept[over[levels > limits[rows]]] = True
  is_tied = levels == limits[rows]
  places, rows = over[is_tied], rows[is_tied]
  ties = hashing.mix(hashes[first[places]] ^ hashes[second[places]])
  order = np.lexsort((ties, -counts[places], rows))
  chosen = _rank_within(rows[order]) < room[rows[order]]
  kept[places[order[chosen]]] = True
  return np.flatnonzero(kept)


def hopeful(
  rows: npt.NDArray[Any],
  counts: npt.NDArray[Any],
  is_free: npt.NDArray[Any],
  cap: int,
) -> npt.NDArray[Any]:
  """Which edges of over-full recordings `cap_degrees` could keep.

  An edge to a recording with room for all its edges is kept wherever its own
  end has room. Once a recording has `cap` of these, no weaker edge of it can
  be kept; that leaves little of those with very many neighbours.

  Args:
    rows: small integers [edges], the recording that the edge belongs to.
    counts: users who listened to both, [edges].
    is_free: bool [edges], whether the other end has room for all its edges.
    cap: largest degree.

  Returns:
    bool [edges].
  """
  levels = np.minimum(counts, _LEVELS - 1)
  above = _at_or_above(
    rows[is_free], levels[is_free], int(rows.max(initial=-1)) + 1
  )
  limits = np.count_nonzero(above >= cap, axis=1) - 1
  return levels >= limits[rows]


def _at_or_above(
  rows: npt.NDArray[Any], levels: npt.NDArray[Any], num_rows: int
) -> npt.NDArray[Any]:
  """Edges of each row at a level or above, int64 [rows, _LEVELS + 1]."""
  table = np.bincount(
    rows * (_LEVELS + 1) + levels, minlength=num_rows * (_LEVELS + 1)
  )
  table = table.reshape(-1, _LEVELS + 1)
  return np.cumsum(table[:, ::-1], axis=1)[:, ::-1]


def undirected(
  edges: npt.NDArray[Any], is_over: npt.NDArray[Any]
) -> npt.NDArray[Any]:
  """Each pair once, smaller index first, that all its over-full ends gave.

  Args:
    edges: integers [edges, 3]; column 0 is the end that gives the edge.
    is_over: bool [recordings], which are over-full.

  Returns:
    [pairs, 3], sorted.
  """
  low, high = edges[:, :2].min(axis=1), edges[:, :2].max(axis=1)
  keys = low.astype(np.int64) * len(is_over) + high
  order = np.argsort(keys)
  starts = np.flatnonzero(np.diff(keys[order], prepend=-1) != 0)
  copies = np.diff(starts, append=len(order))
  order = order[starts]
  low, high = low[order], high[order]
  is_given = copies >= 1 + (is_over[low] & is_over[high])
  return np.stack([low, high, edges[order, 2]], axis=1)[is_given]


def cap_degrees(
  edges: npt.NDArray[Any], hashes: npt.NDArray[Any], cap: int
) -> npt.NDArray[Any]:
  """Caps the degrees of an undirected graph, keeping it symmetric.

  The result is that of taking edges from the strongest to the weakest while
  both ends have room. It is found in rounds: every recording asks for its
  strongest remaining edges, as many as it has room for; those that both ends
  ask for are kept, those with a full end dropped.

  Args:
    edges: integers [edges, 3], each pair once.
    hashes: uint64 [recordings].
    cap: largest degree.

  Returns:
    [kept, 3], in the order of `edge_order`.
  """
  edges = edges[edge_order(edges, hashes)]
  is_kept = np.zeros(len(edges), bool)
  is_left = np.ones(len(edges), bool)
  room = np.full(len(hashes), cap, np.int64)
  # Every edge asks at both ends: by recording, the strongest first.
  ends = edges[:, :2].ravel()
  asking = _stable_order(ends, len(hashes))
  while len(asking):
    # An edge that is granted at one end only is granted once, not twice.
    granted = asking[_rank_within(ends[asking]) < room[ends[asking]]] >> 1
    mutual = np.flatnonzero(np.bincount(granted, minlength=len(edges)) == 2)
    is_kept[mutual], is_left[mutual] = True, False
    room -= np.bincount(edges[mutual, :2].ravel(), minlength=len(room))
    full = room == 0
    asking = asking[is_left[asking >> 1]]
    is_left[asking[full[ends[asking]]] >> 1] = False
    asking = asking[is_left[asking >> 1]]
  return edges[is_kept]


def _stable_order(values: npt.NDArray[Any], limit: int) -> npt.NDArray[Any]:
  """Stable order of integers in [0, limit), by their digits: int64 [n]."""
  order = np.argsort((values & 0xFFFF).astype(np.uint16), kind="stable")
  shift = 16
  while limit >> shift:
    digits = (values >> shift & 0xFFFF).astype(np.uint16)
    order = order[np.argsort(digits[order], kind="stable")]
    shift += 16
  return order


def _rank_within(groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """How many earlier entries belong to the same group, groups adjacent."""
  starts = np.flatnonzero(np.diff(groups, prepend=-1))
  lengths = np.diff(starts, append=len(groups))
  return np.arange(len(groups)) - np.repeat(starts, lengths)
