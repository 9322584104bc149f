"""Mines the co-listen graph from the segments of a listening log, in tasks.

Five phases join through files. Users' distinct lists; each list, once, to
every partition of recordings that it touches; there the strongest pairs of
each recording; these to both their ends, whose rows they are united to; and,
where a row is over-full then, the second cap, on the driver, which sees the
edges of such rows only. Nothing depends on the numbers of tasks and
partitions, nor on the order of the log. Huang et al. 2020, section 3.1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.engines import base, resumable, segments
from music_embed.data.mining import capping, colisten, sanitize

USER_PARTITIONS = 1024
"""Partitions of users in the segments of events: the hash's leading bits."""

EVENT = np.dtype([("user", "<u8"), ("recording", "<i4")])
"""A listening event: keyed hash of the user's id, position of the recording."""

PAIR = np.dtype([("recording", "<i4"), ("other", "<i4"), ("count", "<i4")])
"""A directed edge."""

_ENTRY = np.dtype("<i4")
_HASHES, _INDICES = "hashes.npy", "indices.npy"
_OVER, _KEPT = "over.npy", "kept.npy"
_PLAN = "plan.json"


@dataclasses.dataclass(frozen=True)
class Sizes:
  """How much a task holds in memory; without influence on the result.

  The defaults keep a task below some 700 MB (1 M recordings).

  Attributes:
    events_per_task: events that are sorted at once.
    entries_per_partition: entries of the lists that touch a partition.
    pairs_per_task: pairs, counted with repetition, of the recordings whose
      product one task computes.
    entries_per_block: of a product that is held at once.
    vertices_per_chunk: recordings whose rows are united at once.
  """

  events_per_task: int = 4_000_000
  entries_per_partition: int = 20_000_000
  pairs_per_task: int = 150_000_000
  entries_per_block: int = 10_000_000
  vertices_per_chunk: int = 8_192

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise errors.ConfigError(f"Sizes.{field.name} must be positive")


@dataclasses.dataclass(frozen=True)
class Job:
  """What every task knows.

  Attributes:
    folder: for the files between tasks, shared by all workers.
    num_recordings: recordings of the dataset, the graph's vertices.
    vertices_per_shard: recordings whose edges share a shard.
    options: thresholds and caps.
    sizes: of tasks.
  """

  folder: str
  num_recordings: int
  vertices_per_shard: int
  options: sanitize.GraphOptions
  sizes: Sizes

  @property
  def num_shards(self) -> int:
    """Shards of the graph."""
    return -(-self.num_recordings // self.vertices_per_shard)

  def shard(self, number: int) -> range:
    """Recordings of a shard."""
    start = number * self.vertices_per_shard
    stop = min(start + self.vertices_per_shard, self.num_recordings)
    return range(start, stop)

  @property
  def chunks_per_shard(self) -> int:
    """Chunks of a shard; in the last one some may be empty."""
    return -(-self.vertices_per_shard // self.sizes.vertices_per_chunk)

  def chunk(self, number: int) -> range:
    """Recordings of a chunk, numbered over all shards."""
    shard, place = divmod(number, self.chunks_per_shard)
    within = self.shard(shard)
    start = within.start + place * self.sizes.vertices_per_chunk
    stop = start + self.sizes.vertices_per_chunk
    return range(min(start, within.stop), min(stop, within.stop))

  def chunks_of(self, recordings: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The chunk of each recording, [recordings]."""
    shards, places = np.divmod(recordings, self.vertices_per_shard)
    places //= self.sizes.vertices_per_chunk
    return shards * self.chunks_per_shard + places

  def path(self, kind: str, number: int) -> str:
    """File of a task of a phase."""
    return os.path.join(self.folder, f"{kind}-{number:06d}")

  def save(self, name: str, array: npt.NDArray[Any]) -> None:
    """Writes an array for all tasks."""
    with files.atomic_write(os.path.join(self.folder, name)) as file:
      np.save(file, array)

  def load(self, name: str) -> npt.NDArray[Any]:
    """Maps such an array."""
    return np.load(os.path.join(self.folder, name), mmap_mode="r")


@dataclasses.dataclass(frozen=True)
class _Block:
  partition: int
  recordings: range


def write_events(
  writer: segments.Writer,
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
) -> None:
  """Appends a chunk of events to a segment of `USER_PARTITIONS` partitions.

  Args:
    writer: of a segment of `EVENT`.
    users: uint64 [events], keyed hashes of the users' ids.
    recordings: integers [events], positions.
  """
  # Sorted runs make the next phase's sort cheap.
  order = np.lexsort((recordings, users))
  rows = np.empty(len(order), EVENT)
  rows["user"], rows["recording"] = users[order], recordings[order]
  bounds = np.arange(1, USER_PARTITIONS, dtype=np.uint64)
  bounds *= np.uint64(2**64 // USER_PARTITIONS)
  cuts = np.searchsorted(users[order], bounds)
  writer.append(rows, np.diff(cuts, prepend=0, append=len(rows)))


def mine(
  engine: base.Engine,
  events: Sequence[str],
  job: Job,
  *,
  recording_hashes: npt.NDArray[Any],
  indices: npt.NDArray[Any],
) -> dict[str, int]:
  """Mines the graph up to the rows of its shards, which `read_rows` reads.

  Interrupted and called again, it goes on with the tasks that are left.

  Args:
    engine: runs the tasks.
    events: segments that `write_events` wrote.
    job: options and folder; the folder belongs to these events.
    recording_hashes: uint64 [recordings], keyed hash of each recording's id;
      decides between pairs of equal counts.
    indices: int32 [positions], the recording of each position in the events;
      -1 where it was rejected.

  Returns:
    What was kept and dropped.
  """
  plan = repr((job.sizes, job.num_recordings, job.vertices_per_shard))
  _begin(job.folder, plan)
  job.save(_HASHES, recording_hashes)
  job.save(_INDICES, indices)

  def run(
    kind: str, function: Callable[..., Any], inputs: Sequence[str], tasks: Any
  ) -> tuple[list[Any], list[str]]:
    """Results of a phase, and the files that its tasks wrote."""
    results = resumable.map_once(
      engine,
      functools.partial(function, job, tuple(inputs)),
      list(enumerate(tasks)),
      folder=os.path.join(job.folder, f"{kind}.done"),
      plan=plan,
      description=f"graph: {kind}",
    )
    return results, [job.path(kind, n) for n in range(len(results))]

  ranges = _user_ranges(events, job.sizes.events_per_task)
  listed, lists = run("lists", _list_users, events, ranges)
  lengths = np.sum([found.pop("lengths") for found in listed], axis=0)
  partitions = _num_partitions(lengths, job)
  _, spread = run("partitions", _replicate, lists, [partitions] * len(lists))
  tasks = _pair_tasks(lengths, partitions, job)
  paired, pairs = run("pairs", _pair, spread, tasks)
  _remove(spread)
  _, rows = run("rows", _unite, pairs, range(job.num_shards))
  _remove(pairs)
  job.save(_OVER, _over_full(job, rows))
  contests, contested = run("contest", _contest, rows, range(len(rows)))
  num_kept = _cap(job, contested)
  counts = {name: sum(found[name] for found in listed) for name in listed[0]}
  num_pairs = sum(found["pairs"] for found in paired)
  num_edges = sum(found["uncontested"] for found in contests) // 2 + num_kept
  return counts | {
    "colisten_pairs": num_pairs,
    "edges": num_edges,
    "edges_dropped_by_cap": num_pairs - num_edges,
  }


def read_rows(
  job: Job, shard: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
  """The rows of a shard's recordings in the finished graph.

  Args:
    job: that `mine` has done.
    shard: its number.

  Returns:
    Degrees, int64 [recordings of the shard]; neighbours, sorted within a row,
    and counts, int32 [entries].
  """
  vertices = job.shard(shard)
  degrees, neighbors, counts = _load_rows(job.path("rows", shard))
  owners = np.repeat(np.asarray(vertices), degrees)
  is_over, kept = job.load(_OVER), job.load(_KEPT)
  bounds = np.array([vertices.start, vertices.stop]) * job.num_recordings
  start, stop = np.searchsorted(kept, bounds)
  is_kept = ~(is_over[owners] | is_over[neighbors])
  keys = owners * job.num_recordings + neighbors
  is_kept[np.searchsorted(keys, kept[start:stop])] = True
  degrees = np.bincount(
    owners[is_kept] - vertices.start, minlength=len(degrees)
  )
  return degrees, neighbors[is_kept], counts[is_kept]


def _begin(folder: str, plan: str) -> None:
  """Removes all that was done under another plan.

  Tasks of two plans write files of the same names, and files of finished
  phases are gone: a mix could not be told apart.
  """
  files.make_dirs(folder)
  note = os.path.join(folder, _PLAN)
  if os.path.exists(note):
    if files.read_json(note) == plan:
      return
    os.unlink(note)  # First: without it, what is left is removed next time.
  shutil.rmtree(folder)
  files.make_dirs(folder)
  files.write_json(note, plan)


def _list_users(
  job: Job, events: tuple[str, ...], task: tuple[int, range]
) -> dict[str, Any]:
  """Sanitises the lists of a range of user partitions."""
  number, partitions = task
  rows = segments.read(events, partitions, EVENT)
  recordings = job.load(_INDICES)[rows["recording"]]
  known = recordings >= 0
  lists, counts = sanitize.sanitize(
    rows["user"][known],
    recordings[known],
    recording_hashes=job.load(_HASHES),
    options=job.options,
  )
  with files.atomic_write(job.path("lists", number)) as file:
    np.save(file, colisten.encode_lists(lists))
  longest = job.options.max_recordings_per_user
  return counts | {
    "log_rows_rejected_recording": int(np.count_nonzero(~known)),
    "lengths": np.bincount(lists.lengths, minlength=longest + 1).tolist(),
  }


def _replicate(
  job: Job, lists: tuple[str, ...], task: tuple[int, int]
) -> dict[str, Any]:
  """Sends lists to the partitions of recordings that they touch."""
  number, num_partitions = task
  whole = colisten.decode_lists(np.load(lists[number]))
  # A list goes to no more partitions than it has entries.
  copies = np.minimum(whole.lengths, num_partitions) * whole.lengths
  cuts = _cuts(copies, job.sizes.events_per_task)
  path = job.path("partitions", number)
  with segments.writing(path, _ENTRY, num_partitions) as writer:
    for part in map(whole.slice, cuts):
      writer.append(
        *colisten.replicate(part, job.num_recordings, num_partitions)
      )
  return {}


def _pair(
  job: Job, spread: tuple[str, ...], task: tuple[int, _Block]
) -> dict[str, int]:
  """Finds the strongest pairs of a block of a partition."""
  number, block = task
  partition = range(block.partition, block.partition + 1)
  lists = colisten.decode_lists(segments.read(spread, partition, _ENTRY))
  num_pairs = 0
  num_chunks = job.num_shards * job.chunks_per_shard
  with segments.writing(job.path("pairs", number), PAIR, num_chunks) as writer:
    for pairs, found in colisten.strong_pairs(
      lists,
      block.recordings,
      recording_hashes=job.load(_HASHES),
      options=job.options,
      max_entries=job.sizes.entries_per_block,
    ):
      num_pairs += found
      both = np.concatenate([pairs, pairs[:, [1, 0, 2]]]).astype("<i4")
      chunks = job.chunks_of(both[:, 0])
      # Small integers are sorted by their digits.
      order = np.argsort(
        chunks.astype(np.min_scalar_type(num_chunks)), kind="stable"
      )
      rows = both[order].view(PAIR).ravel()
      writer.append(rows, np.bincount(chunks, minlength=num_chunks))
  return {"pairs": num_pairs}


def _unite(
  job: Job, pairs: tuple[str, ...], task: tuple[int, int]
) -> dict[str, int]:
  """Unites the pairs that either end kept to the rows of a shard."""
  number, shard = task
  first = shard * job.chunks_per_shard
  parts = []
  for chunk in range(first, first + job.chunks_per_shard):
    rows = segments.read(pairs, range(chunk, chunk + 1), PAIR)
    table = rows.view("<i4").reshape(-1, 3)
    parts.append(colisten.unite(table, job.chunk(chunk), job.num_recordings))
  degrees, neighbors, counts = map(np.concatenate, zip(*parts, strict=True))
  with files.atomic_write(job.path("rows", number)) as file:
    np.savez(file, degrees=degrees, neighbors=neighbors, counts=counts)
  return {}


def _contest(
  job: Job, rows: tuple[str, ...], task: tuple[int, int]
) -> dict[str, int]:
  """Collects the edges of a shard's over-full recordings."""
  number, shard = task
  degrees, neighbors, counts = _load_rows(rows[shard])
  is_over = job.load(_OVER)
  starts = np.concatenate([[0], np.cumsum(degrees)])
  parts = [np.empty((0, 3), np.int32)]
  uncontested = 0
  step = job.sizes.vertices_per_chunk
  for first in range(0, len(degrees), step):
    rows_of = slice(first, first + step)
    entries = slice(starts[first], starts[min(first + step, len(degrees))])
    owners = np.repeat(np.arange(len(degrees[rows_of])), degrees[rows_of])
    others, shared = neighbors[entries], counts[entries]
    owner_over = (degrees[rows_of] > job.options.max_neighbors)[owners]
    other_over = is_over[others]
    uncontested += int(np.count_nonzero(~(owner_over | other_over)))
    places = np.flatnonzero(owner_over)
    places = places[
      capping.hopeful(
        owners[places],
        shared[places],
        ~other_over[places],
        job.options.max_neighbors,
      )
    ]
    columns = owners[places] + job.shard(shard)[first], others[places]
    parts.append(np.stack([*columns, shared[places]], axis=1).astype(np.int32))
  with files.atomic_write(job.path("contest", number)) as file:
    np.save(file, np.concatenate(parts))
  return {"uncontested": uncontested}


def _cap(job: Job, contested: Sequence[str]) -> int:
  """Caps the degrees of over-full recordings; how many edges they keep.

  Only their edges are contested: wherever a recording has room for all its
  edges, it has room for them in any order.
  """
  kept = capping.cap_degrees(
    capping.undirected(
      np.concatenate([np.load(path) for path in contested]), job.load(_OVER)
    ),
    job.load(_HASHES),
    job.options.max_neighbors,
  )
  ends = kept[:, :2].astype(np.int64)
  keys = ends * job.num_recordings + ends[:, ::-1]
  job.save(_KEPT, np.sort(keys.ravel()))
  return len(kept)


def _over_full(job: Job, rows: Sequence[str]) -> npt.NDArray[Any]:
  degrees = np.concatenate([_load_rows(path, "degrees")[0] for path in rows])
  return degrees > job.options.max_neighbors


def _load_rows(path: str, *names: str) -> tuple[npt.NDArray[Any], ...]:
  with np.load(path) as rows:
    return tuple(rows[n] for n in names or ("degrees", "neighbors", "counts"))


def _user_ranges(events: Sequence[str], events_per_task: int) -> list[range]:
  sizes = np.zeros(USER_PARTITIONS, np.int64)
  for path in events:
    sizes += segments.sizes(path)
  return _cuts(sizes, events_per_task)


def _cuts(sizes: npt.NDArray[Any], limit: int) -> list[range]:
  """Ranges of items of no more than `limit` in all, or of a single item."""
  total = np.concatenate([[0], np.cumsum(sizes)])
  ranges: list[range] = []
  start = 0
  while start < len(sizes) or not ranges:
    stop = int(np.searchsorted(total, total[start] + limit, "right")) - 1
    stop = min(max(stop, start + 1), len(sizes))
    ranges.append(range(start, stop))
    start = stop
  return ranges


def _num_partitions(lengths: npt.NDArray[Any], job: Job) -> int:
  """The fewest partitions that lists are expected to fill as much as allowed.

  A list of n entries touches one of p partitions with probability
  1 - (1 - 1/p)^n: recordings are in the order of a hash.
  """
  entries = np.arange(len(lengths)) * lengths

  def filled(num_partitions: int) -> float:
    touched = 1 - (1 - 1 / num_partitions) ** np.arange(len(lengths))
    return float(entries @ touched)

  low, high = 1, max(job.num_recordings, 1)
  while low < high:
    middle = (low + high) // 2
    if filled(middle) > job.sizes.entries_per_partition:
      low = middle + 1
    else:
      high = middle
  return low


def _pair_tasks(
  lengths: npt.NDArray[Any], num_partitions: int, job: Job
) -> list[_Block]:
  """Cuts the partitions into blocks of about as many pairs."""
  num_pairs = float(lengths @ np.arange(len(lengths), dtype=np.float64) ** 2)
  blocks = num_pairs / num_partitions / job.sizes.pairs_per_task
  tasks = []
  for partition in range(num_partitions):
    within = colisten.partition_range(
      partition, num_partitions, job.num_recordings
    )
    step = max(1, math.ceil(len(within) / max(blocks, 1)))
    tasks += [
      _Block(partition, within[start : start + step])
      for start in range(0, len(within), step)
    ]
  return tasks


def _remove(paths: Sequence[str]) -> None:
  for path in paths:
    with contextlib.suppress(FileNotFoundError):
      os.unlink(path)
