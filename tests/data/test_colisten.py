"""The co-listen graph against counting by hand with Python sets."""

import collections
import dataclasses
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.engines import base, local, segments
from music_embed.data.mining import (
  capping,
  colisten,
  graph_job,
  graph_plan,
  hashing,
  sanitize,
)

_NUM_USERS, _NUM_RECORDINGS = 80, 40
_NUM_SHARDS = 3


def _hashes(kind: str, num: int) -> np.ndarray:
  values = [hashing.hash64(0, kind, str(i)) for i in range(num)]
  return np.array(values, np.uint64)


_USERS = _hashes("user", _NUM_USERS)
_RECORDINGS = _hashes("recording", _NUM_RECORDINGS)

Edges = dict[tuple[int, int], int]


@dataclasses.dataclass(frozen=True)
class Mined:
  """A mined graph: every edge by both its directions, and the counts."""

  rows: Edges
  counts: dict[str, int]

  @property
  def edges(self) -> Edges:
    return {pair: n for pair, n in self.rows.items() if pair[0] < pair[1]}

  @property
  def degrees(self) -> collections.Counter[int]:
    return collections.Counter(first for first, _ in self.rows)


def _events(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(seed)
  users = rng.integers(0, _NUM_USERS, 1200)
  skewed = (_NUM_RECORDINGS * rng.random(1200) ** 2).astype(np.int64)
  return users, skewed


def _mine(
  folder: pathlib.Path,
  users: np.ndarray,
  recordings: np.ndarray,
  *,
  engine: base.Engine | None = None,
  num_parts: int = 2,
  sizes: graph_plan.Sizes | None = None,
  indices: np.ndarray | None = None,
  **options: int,
) -> Mined:
  folder = folder / f"{len(list(folder.iterdir()))}"
  folder.mkdir()
  events = []
  for part in range(num_parts):
    events.append(str(folder / f"events-{part}"))
    with segments.writing(
      events[-1], graph_plan.EVENT, graph_plan.USER_PARTITIONS
    ) as writer:
      for chunk in np.array_split(np.arange(part, len(users), num_parts), 2):
        graph_job.write_events(writer, _USERS[users[chunk]], recordings[chunk])
  if indices is None:
    indices = np.arange(_NUM_RECORDINGS)
  job = graph_plan.Job(
    folder=str(folder / "job"),
    num_recordings=_NUM_RECORDINGS,
    vertices_per_shard=-(-_NUM_RECORDINGS // _NUM_SHARDS),
    options=sanitize.GraphOptions(**options),
    sizes=sizes or graph_plan.Sizes(),
  )
  counts = graph_job.mine(
    engine or local.LocalEngine(1),
    events,
    job,
    recording_hashes=_RECORDINGS,
    indices=indices,
  )
  rows: Edges = {}
  for shard in range(job.num_shards):
    degrees, neighbors, shared = graph_job.read_rows(job, shard)
    owners = np.repeat(np.asarray(job.shard(shard)), degrees)
    pairs = list(zip(owners.tolist(), neighbors.tolist(), strict=True))
    assert pairs == sorted(pairs)
    rows |= dict(zip(pairs, shared.tolist(), strict=True))
  return Mined(rows, counts)


def _lists_by_hand(
  users: np.ndarray, recordings: np.ndarray
) -> dict[int, set[int]]:
  lists = collections.defaultdict(set)
  for user, recording in zip(users.tolist(), recordings.tolist(), strict=True):
    lists[user].add(recording)
  return lists


def _pairs_by_hand(
  users: np.ndarray, recordings: np.ndarray, tau: int, min_recordings: int
) -> Edges:
  pairs: collections.Counter[tuple[int, int]] = collections.Counter()
  for listened in _lists_by_hand(users, recordings).values():
    if len(listened) >= min_recordings:
      pairs.update(itertools.combinations(sorted(listened), 2))
  return {pair: count for pair, count in pairs.items() if count >= tau}


def _capped_by_hand(pairs: Edges, cap: int) -> Edges:
  """Each end's strongest, then one greedy pass over all that either kept."""
  table = np.array([(*pair, count) for pair, count in pairs.items()])
  ranked = table[capping.edge_order(table, _RECORDINGS)].tolist()
  asked: collections.Counter[int] = collections.Counter()
  united = []
  for first, second, count in ranked:
    if asked[first] < cap or asked[second] < cap:
      united.append((first, second, count))
    asked.update((first, second))
  degrees: collections.Counter[int] = collections.Counter()
  kept = {}
  for first, second, count in united:
    if degrees[first] < cap and degrees[second] < cap:
      degrees.update((first, second))
      kept[first, second] = count
  return kept


@pytest.mark.parametrize(("tau", "min_recordings"), [(1, 1), (4, 5), (6, 13)])
def test_pairs_have_at_least_tau_distinct_listeners(
  tmp_path: pathlib.Path, tau: int, min_recordings: int
) -> None:
  users, recordings = _events()
  mined = _mine(
    tmp_path,
    users,
    recordings,
    tau=tau,
    min_recordings_per_user=min_recordings,
  )
  expected = _pairs_by_hand(users, recordings, tau, min_recordings)
  assert mined.edges == expected
  counts = mined.counts
  assert counts["edges"] == counts["colisten_pairs"] == len(expected)


@pytest.mark.parametrize("cap", [1, 2, 5, 12])
def test_caps_keep_what_a_greedy_pass_over_all_edges_keeps(
  tmp_path: pathlib.Path, cap: int
) -> None:
  for seed in range(3):
    users, recordings = _events(seed)
    mined = _mine(tmp_path, users, recordings, tau=2, max_neighbors=cap)
    pairs = _pairs_by_hand(users, recordings, 2, 5)
    assert mined.edges == _capped_by_hand(pairs, cap)
    assert max(mined.degrees.values()) == cap
    for (first, second), count in mined.rows.items():
      assert mined.rows[second, first] == count
    assert mined.counts["edges"] == len(mined.edges)
    dropped = len(pairs) - len(mined.edges)
    assert mined.counts["edges_dropped_by_cap"] == dropped > 0


_TINY = graph_plan.Sizes(
  events_per_task=50,
  entries_per_partition=150,
  pairs_per_task=500,
  entries_per_block=60,
  vertices_per_chunk=4,
)


@pytest.mark.parametrize(
  "change",
  [
    {"num_parts": 1},
    {"num_parts": 7},
    {"sizes": _TINY},
    {"sizes": dataclasses.replace(_TINY, entries_per_partition=1)},
    {"sizes": dataclasses.replace(_TINY, entries_per_block=1)},
    {"sizes": graph_plan.Sizes(vertices_per_chunk=1)},
    {"engine": 2, "sizes": _TINY},
    {"engine": 3},
  ],
)
def test_tasks_partitions_and_workers_make_no_difference(
  tmp_path: pathlib.Path, change: dict[str, Any]
) -> None:
  options = {"tau": 2, "max_neighbors": 7, "max_recordings_per_user": 11}
  expected = _mine(tmp_path, *_events(), **options)
  with local.LocalEngine(change.pop("engine", 1)) as engine:
    found = _mine(tmp_path, *_events(), engine=engine, **change, **options)
  assert found == expected


def test_listening_twice_counts_once_and_order_makes_no_difference(
  tmp_path: pathlib.Path,
) -> None:
  users, recordings = _events()
  order = np.random.default_rng(1).permutation(np.tile(np.arange(1200), 2))
  one = _mine(tmp_path, users, recordings, max_recordings_per_user=8)
  other = _mine(
    tmp_path, users[order], recordings[order], max_recordings_per_user=8
  )
  assert one == other


def test_a_user_below_the_threshold_leaves_no_trace(
  tmp_path: pathlib.Path,
) -> None:
  users, recordings = _events()
  kept = users != 7
  options = {"min_recordings_per_user": 6, "tau": 2}
  few = np.concatenate([users[kept], np.full(5, 7)])
  few_recordings = np.concatenate([recordings[kept], np.arange(5)])
  with_user = _mine(tmp_path, few, few_recordings, **options)
  without = _mine(tmp_path, users[kept], recordings[kept], **options)
  assert with_user.rows == without.rows
  assert with_user.counts["users_dropped_too_few_recordings"] == 1
  assert without.counts["users_dropped_too_few_recordings"] == 0


def test_rejected_recordings_are_gone_before_users_are_judged(
  tmp_path: pathlib.Path,
) -> None:
  users, recordings = _events()
  indices = np.arange(_NUM_RECORDINGS)
  indices[:3] = -1
  mined = _mine(
    tmp_path, users, recordings, indices=indices, min_recordings_per_user=12
  )
  joined = recordings >= 3
  expected = _pairs_by_hand(users[joined], recordings[joined], 3, 12)
  assert mined.edges == expected
  rejected = mined.counts["log_rows_rejected_recording"]
  assert rejected == np.count_nonzero(~joined)


def test_heavy_users_keep_a_subset_that_others_do_not_influence() -> None:
  users = np.repeat(_USERS[:3], [30, 9, 12])
  recordings = np.concatenate([np.arange(30), np.arange(9), np.arange(12)])
  options = sanitize.GraphOptions(max_recordings_per_user=10)
  lists, counts = sanitize.sanitize(
    users, recordings, recording_hashes=_RECORDINGS, options=options
  )
  assert sorted(lists.lengths.tolist()) == [9, 10, 10]
  assert counts == {
    "users": 3,
    "users_dropped_too_few_recordings": 0,
    "users_capped_too_many_recordings": 2,
    "user_recording_pairs": 51,
    "user_recording_pairs_kept": 29,
  }
  alone, _ = sanitize.sanitize(
    users[:30], recordings[:30], recording_hashes=_RECORDINGS, options=options
  )
  kept = alone.recordings.tolist()
  assert kept == sorted(kept) != list(range(10))
  place = np.searchsorted(np.sort(_USERS[:3]), _USERS[0])
  own = lists.slice(range(place, place + 1))
  assert own.recordings.tolist() == kept


def test_a_log_without_events_gives_a_graph_without_edges(
  tmp_path: pathlib.Path,
) -> None:
  nothing = np.empty(0, np.int64)
  mined = _mine(tmp_path, nothing, nothing)
  assert not mined.rows
  assert mined.counts["edges"] == mined.counts["users"] == 0


def test_lists_reach_every_partition_that_they_touch_once() -> None:
  rng = np.random.default_rng(3)
  lists = [np.sort(rng.permutation(40)[:n]) for n in rng.integers(1, 12, 30)]
  indptr = np.concatenate([[0], np.cumsum([len(own) for own in lists])])
  packed = sanitize.Lists(indptr, np.concatenate(lists).astype(np.int32))
  for num_partitions in (1, 2, 7, 40):
    stream, sizes = colisten.replicate(packed, 40, num_partitions)
    parts = np.split(stream, np.cumsum(sizes)[:-1])
    for partition, part in enumerate(parts):
      within = colisten.partition_range(partition, num_partitions, 40)
      found = colisten.decode_lists(part)
      expected = [own for own in lists if np.isin(own, within).any()]
      assert found.lengths.tolist() == [len(own) for own in expected]
      assert found.recordings.tolist() == [r for own in expected for r in own]


class _Interrupted(local.LocalEngine):
  """Is interrupted in the middle of the given job."""

  left = 0

  def map(self, function: Any, tasks: Any, **texts: Any) -> list[Any]:
    self.left -= 1
    chosen = list(tasks)
    if self.left < 0:
      super().map(function, chosen[: len(chosen) // 2], **texts)
      raise KeyboardInterrupt
    return super().map(function, chosen, **texts)


def test_an_interrupted_job_goes_on_task_by_task(
  tmp_path: pathlib.Path,
) -> None:
  options: dict[str, Any] = {"tau": 2, "max_neighbors": 7, "sizes": _TINY}
  expected = _mine(tmp_path, *_events(), **options)
  folder = tmp_path / "again"
  folder.mkdir()
  engine = _Interrupted(1)
  for stage in range(5):
    engine.left = stage
    with pytest.raises(KeyboardInterrupt):
      _mine(folder, *_events(), engine=engine, **options)
    kept = (folder / "0").rename(tmp_path / f"kept{stage}")
    assert _resume(kept, options) == expected.counts


def test_sizes_may_change_between_interruptions(
  tmp_path: pathlib.Path,
) -> None:
  options: dict[str, Any] = {"tau": 2, "max_neighbors": 7, "sizes": _TINY}
  expected = _mine(tmp_path, *_events(), **options)
  folder = tmp_path / "again"
  folder.mkdir()
  engine = _Interrupted(1)
  engine.left = 3
  with pytest.raises(KeyboardInterrupt):
    _mine(folder, *_events(), engine=engine, **options)
  engine.left = 4
  with pytest.raises(KeyboardInterrupt):
    _resume(folder / "0", {"sizes": graph_plan.Sizes()}, engine)
  assert _resume(folder / "0", options) == expected.counts


def _resume(
  folder: pathlib.Path,
  options: dict[str, Any],
  engine: base.Engine | None = None,
) -> dict[str, int]:
  job = graph_plan.Job(
    folder=str(folder / "job"),
    num_recordings=_NUM_RECORDINGS,
    vertices_per_shard=-(-_NUM_RECORDINGS // _NUM_SHARDS),
    options=sanitize.GraphOptions(tau=2, max_neighbors=7),
    sizes=options["sizes"],
  )
  return graph_job.mine(
    engine or local.LocalEngine(1),
    [str(folder / f"events-{part}") for part in range(2)],
    job,
    recording_hashes=_RECORDINGS,
    indices=np.arange(_NUM_RECORDINGS),
  )


def test_options_must_be_positive() -> None:
  with pytest.raises(errors.ConfigError, match=r"GraphOptions\.tau"):
    sanitize.GraphOptions(tau=0)
  with pytest.raises(errors.ConfigError, match=r"Sizes\.pairs_per_task"):
    graph_plan.Sizes(pairs_per_task=0)
