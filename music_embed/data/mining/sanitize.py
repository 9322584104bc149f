"""Removes listeners that say little, and caps those that say too much."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

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
    max_block_entries: products held in memory at once, by upper bound.
  """

  tau: int = 3
  max_neighbors: int = 250
  min_recordings_per_user: int = 5
  max_recordings_per_user: int = 1_000
  max_block_entries: int = 20_000_000

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise errors.ConfigError(f"GraphOptions.{field.name} must be positive")


def sanitize(
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
  *,
  user_hashes: npt.NDArray[Any],
  recording_hashes: npt.NDArray[Any],
  options: GraphOptions,
) -> tuple[scipy.sparse.csr_matrix, dict[str, int]]:
  """Who listened to what, once each, after the thresholds.

  Args:
    users: user of each event, integers [events].
    recordings: recording of each event, [events].
    user_hashes: uint64 [users], keyed hash of each user's id.
    recording_hashes: uint64 [recordings], keyed hash of each recording's id.
    options: the thresholds.

  Returns:
    int32 CSR [users, recordings] of ones, and what was kept and dropped. A
    heavy user keeps the recordings with the smallest hash of the pair, so
    the choice depends on neither the order of the log nor other users.
  """
  num_users, num_recordings = len(user_hashes), len(recording_hashes)
  pairs = users.astype(np.int64) * num_recordings + recordings
  pairs.sort()
  pairs = pairs[np.diff(pairs, prepend=-1) != 0]  # Much faster than np.unique.
  rows, columns = np.divmod(pairs, max(num_recordings, 1))
  sizes = np.bincount(rows, minlength=num_users)
  few = sizes < options.min_recordings_per_user
  heavy = sizes > options.max_recordings_per_user
  kept = ~few[rows]
  in_heavy = np.flatnonzero(heavy[rows] & kept)
  over = _beyond_cap(
    rows[in_heavy],
    hashing.mix(
      user_hashes[rows[in_heavy]] ^ recording_hashes[columns[in_heavy]]
    ),
    options.max_recordings_per_user,
  )
  kept[in_heavy[over]] = False
  rows, columns = rows[kept], columns[kept]
  matrix = scipy.sparse.csr_matrix(
    (np.ones(len(rows), np.int32), (rows, columns)),
    shape=(num_users, num_recordings),
  )
  return matrix, {
    "users": int(np.count_nonzero(sizes)),
    "users_dropped_too_few_recordings": int(
      np.count_nonzero(few & (sizes > 0))
    ),
    "users_capped_too_many_recordings": int(np.count_nonzero(heavy & ~few)),
    "user_recording_pairs": len(pairs),
    "user_recording_pairs_kept": int(matrix.nnz),
  }


def _beyond_cap(
  rows: npt.NDArray[Any], keys: npt.NDArray[Any], cap: int
) -> npt.NDArray[Any]:
  """Positions of a row's entries after its `cap` smallest keys."""
  order = np.lexsort((keys, rows))
  starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
  lengths = np.diff(starts, append=len(order))
  ranks = np.arange(len(order)) - np.repeat(starts, lengths)
  return order[ranks >= cap]
