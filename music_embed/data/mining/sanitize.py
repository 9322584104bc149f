"""Removes listeners that say little, and caps those that say too much."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.mining import hashing


@dataclasses.dataclass(frozen=True)
class GraphOptions:
  """How the co-listen graph is mined.

  Attributes:
    tau: users that must have listened to both recordings of a pair.
    max_neighbors: degree kept, strongest pairs first.
    min_recordings_per_user: users with fewer distinct recordings are left out.
    max_recordings_per_user: heavier users count with a random subset of so
      many (a cap of ours: such accounts are seldom one person, and a user's
      pairs grow with the square).
  """

  tau: int = 3
  max_neighbors: int = 250
  min_recordings_per_user: int = 5
  max_recordings_per_user: int = 1_000

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise errors.ConfigError(f"GraphOptions.{field.name} must be positive")


@dataclasses.dataclass(frozen=True)
class Lists:
  """What each user listened to, once each.

  Attributes:
    indptr: int64 [users + 1], where each list starts and ends.
    recordings: int32 [entries], sorted within a list.
  """

  indptr: npt.NDArray[Any]
  recordings: npt.NDArray[Any]

  @property
  def lengths(self) -> npt.NDArray[Any]:
    """Recordings of each list, int64 [users]."""
    return np.diff(self.indptr)

  def slice(self, users: range) -> Lists:
    """The lists of adjacent users."""
    indptr = self.indptr[users.start : users.stop + 1]
    return Lists(indptr - indptr[0], self.recordings[indptr[0] : indptr[-1]])


def sanitize(
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
  *,
  recording_hashes: npt.NDArray[Any],
  options: GraphOptions,
) -> tuple[Lists, dict[str, int]]:
  """Who listened to what, once each, after the thresholds.

  Args:
    users: uint64 [events], keyed hash of the id of each event's user. All
      events of a user must be here; two users with one hash count as one
      (of 100 million users, with a probability of 3e-4 at all).
    recordings: recording of each event, integers [events].
    recording_hashes: uint64 [recordings], keyed hash of each recording's id.
    options: the thresholds.

  Returns:
    The lists that are left, and what was kept and dropped. A heavy user keeps
    the recordings with the smallest hash of the pair, so the choice depends
    on neither the order of the log nor other users.
  """
  users, recordings = _distinct(users, recordings)
  starts = np.flatnonzero(np.diff(users, prepend=~users[:1]) != 0)
  sizes = np.diff(starts, append=len(users))
  few = sizes < options.min_recordings_per_user
  heavy = ~few & (sizes > options.max_recordings_per_user)
  kept = np.repeat(~few, sizes)
  in_heavy = np.flatnonzero(np.repeat(heavy, sizes))
  over = _beyond_cap(
    np.repeat(np.arange(np.count_nonzero(heavy)), sizes[heavy]),
    hashing.mix(users[in_heavy] ^ recording_hashes[recordings[in_heavy]]),
    options.max_recordings_per_user,
  )
  kept[in_heavy[over]] = False
  lengths = np.minimum(sizes[~few], options.max_recordings_per_user)
  lists = Lists(
    np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    recordings[kept].astype(np.int32),
  )
  return lists, {
    "users": len(sizes),
    "users_dropped_too_few_recordings": int(np.count_nonzero(few)),
    "users_capped_too_many_recordings": int(np.count_nonzero(heavy)),
    "user_recording_pairs": len(users),
    "user_recording_pairs_kept": len(lists.recordings),
  }


def _distinct(
  users: npt.NDArray[Any], recordings: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
  """Distinct pairs, by user and recording."""
  # Stable sorts find the runs that the segments' chunks are sorted in.
  order = np.argsort(users, kind="stable")
  users = users[order]
  new = np.diff(users, prepend=~users[:1]) != 0
  keys = np.cumsum(new) << 32 | recordings[order].astype(np.int64)
  del order
  keys.sort(kind="stable")  # Much faster than np.unique.
  distinct = np.diff(keys, prepend=-1) != 0
  # Sorting moved pairs within their user only.
  return users[distinct], (keys[distinct] & 0xFFFFFFFF).astype(np.int64)


def _beyond_cap(
  rows: npt.NDArray[Any], keys: npt.NDArray[Any], cap: int
) -> npt.NDArray[Any]:
  """Positions of a row's entries after its `cap` smallest keys."""
  order = np.lexsort((keys, rows))
  starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
  lengths = np.diff(starts, append=len(order))
  ranks = np.arange(len(order)) - np.repeat(starts, lengths)
  return order[ranks >= cap]
