"""The co-listen graph against counting by hand with Python sets."""

import collections
import itertools

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.mining import colisten, graph, hashing, sanitize

_NUM_USERS, _NUM_RECORDINGS = 80, 40


def _hashes(kind: str, num: int) -> np.ndarray:
  values = [hashing.hash64(0, kind, str(i)) for i in range(num)]
  return np.array(values, np.uint64)


_HASHES = {
  "user_hashes": _hashes("user", _NUM_USERS),
  "recording_hashes": _hashes("recording", _NUM_RECORDINGS),
}


def _events(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(seed)
  users = rng.integers(0, _NUM_USERS, 1200)
  skewed = (_NUM_RECORDINGS * rng.random(1200) ** 2).astype(np.int64)
  return users, skewed


def _mine(
  users: np.ndarray, recordings: np.ndarray, **options: int
) -> tuple[graph.Graph, dict[str, int]]:
  return colisten.colisten_graph(
    users, recordings, options=sanitize.GraphOptions(**options), **_HASHES
  )


def _counted_by_hand(
  users: np.ndarray, recordings: np.ndarray, tau: int, min_recordings: int
) -> dict[tuple[int, int], int]:
  lists = collections.defaultdict(set)
  for user, recording in zip(users.tolist(), recordings.tolist(), strict=True):
    lists[user].add(recording)
  pairs: collections.Counter[tuple[int, int]] = collections.Counter()
  for listened in lists.values():
    if len(listened) >= min_recordings:
      pairs.update(itertools.combinations(sorted(listened), 2))
  return {pair: count for pair, count in pairs.items() if count >= tau}


@pytest.mark.parametrize(("tau", "min_recordings"), [(1, 1), (4, 5), (6, 13)])
def test_pairs_have_at_least_tau_distinct_listeners(
  tau: int, min_recordings: int
) -> None:
  users, recordings = _events()
  mined, counts = _mine(
    users, recordings, tau=tau, min_recordings_per_user=min_recordings
  )
  expected = _counted_by_hand(users, recordings, tau, min_recordings)
  once = mined.rows() < mined.indices
  shared = mined.counts[once].tolist()
  found = dict(zip(map(tuple, mined.pairs().tolist()), shared, strict=True))
  assert found == expected
  assert counts["edges"] == counts["colisten_pairs"] == len(expected)


def test_blocks_of_any_size_give_the_same_graph() -> None:
  whole, _ = _mine(*_events(), max_neighbors=7)
  for max_block_entries in (1, 60, 500):
    blocked, _ = _mine(
      *_events(), max_neighbors=7, max_block_entries=max_block_entries
    )
    for name in ("starts", "ends", "indices", "counts"):
      np.testing.assert_array_equal(
        getattr(blocked, name), getattr(whole, name)
      )


def test_blocks_cover_all_recordings_and_stay_below_the_bound() -> None:
  users, recordings = _events()
  matrix, _ = sanitize.sanitize(
    users, recordings, options=sanitize.GraphOptions(), **_HASHES
  )
  ranges = list(colisten.blocks(matrix, 300))
  covered = [recording for block in ranges for recording in block]
  assert covered == list(range(_NUM_RECORDINGS))
  assert len(ranges) > 1
  for block in ranges:
    product = matrix.T.tocsr()[block.start : block.stop] @ matrix
    assert product.nnz <= 300 or len(block) == 1


@pytest.mark.parametrize("cap", [1, 5, 12])
def test_capped_degrees_stay_capped_and_symmetric(cap: int) -> None:
  mined, counts = _mine(*_events(), tau=2, max_neighbors=cap)
  assert mined.degrees.max() == cap
  directed = set(
    zip(mined.rows().tolist(), mined.indices.tolist(), strict=True)
  )
  assert all((second, first) in directed for first, second in directed)
  assert all(
    (np.diff(mined.neighbors(i)) > 0).all() for i in range(_NUM_RECORDINGS)
  )
  dropped = counts["colisten_pairs"] - mined.num_edges
  assert counts["edges_dropped_by_cap"] == dropped > 0


def test_listening_twice_counts_once_and_order_makes_no_difference() -> None:
  users, recordings = _events()
  order = np.random.default_rng(1).permutation(np.tile(np.arange(1200), 2))
  one, _ = _mine(users, recordings, max_recordings_per_user=8)
  other, _ = _mine(users[order], recordings[order], max_recordings_per_user=8)
  np.testing.assert_array_equal(one.indices, other.indices)
  np.testing.assert_array_equal(one.counts, other.counts)


def test_a_user_below_the_threshold_leaves_no_trace() -> None:
  users, recordings = _events()
  kept = users != 7
  options = {"min_recordings_per_user": 6, "tau": 2}
  few = np.concatenate([users[kept], np.full(5, 7)])
  few_recordings = np.concatenate([recordings[kept], np.arange(5)])
  with_user, counts = _mine(few, few_recordings, **options)
  without, _ = _mine(users[kept], recordings[kept], **options)
  np.testing.assert_array_equal(with_user.indices, without.indices)
  assert counts["users_dropped_too_few_recordings"] >= 1


def test_heavy_users_keep_a_subset_that_others_do_not_influence() -> None:
  users = np.repeat([0, 1, 2], [30, 9, 12])
  recordings = np.concatenate([np.arange(30), np.arange(9), np.arange(12)])
  options = sanitize.GraphOptions(max_recordings_per_user=10)
  matrix, counts = sanitize.sanitize(
    users, recordings, options=options, **_HASHES
  )
  sizes = np.diff(matrix.indptr)[:3].tolist()
  assert sizes == [10, 9, 10]
  assert counts["users_capped_too_many_recordings"] == 2
  assert counts["user_recording_pairs"] == 51
  assert counts["user_recording_pairs_kept"] == 29
  alone, _ = sanitize.sanitize(
    users[:30], recordings[:30], options=options, **_HASHES
  )
  assert alone[0].indices.tolist() == matrix[0].indices.tolist()
  assert sorted(matrix[0].indices) != list(range(10))


def test_a_log_without_events_gives_a_graph_without_edges() -> None:
  nothing = np.empty(0, np.int64)
  mined, counts = _mine(nothing, nothing)
  assert mined.num_vertices == _NUM_RECORDINGS
  assert mined.num_edges == counts["users"] == 0


def test_options_must_be_positive() -> None:
  with pytest.raises(errors.ConfigError, match=r"GraphOptions\.tau"):
    sanitize.GraphOptions(tau=0)
