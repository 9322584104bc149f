"""The tasks of the phases in which the co-listen graph is mined.

Each reads files of the phase before and writes one of its own; `graph_job`
says what they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.data.engines import segments
from music_embed.data.mining import capping, colisten, graph_plan, sanitize

_ENTRY = np.dtype("<i4")
HASHES, INDICES = "hashes.npy", "indices.npy"
OVER, KEPT = "over.npy", "kept.npy"


def list_users(
  job: graph_plan.Job, events: tuple[str, ...], task: tuple[int, range]
) -> dict[str, Any]:
  """Sanitises the lists of a range of user partitions."""
  number, partitions = task
  rows = segments.read(events, partitions, graph_plan.EVENT)
  recordings = job.load(INDICES)[rows["recording"]]
  known = recordings >= 0
  lists, counts = sanitize.sanitize(
    rows["user"][known],
    recordings[known],
    recording_hashes=job.load(HASHES),
    options=job.options,
  )
  with files.atomic_write(job.path("lists", number)) as file:
    np.save(file, colisten.encode_lists(lists))
  longest = job.options.max_recordings_per_user
  return counts | {
    "log_rows_rejected_recording": int(np.count_nonzero(~known)),
    "lengths": np.bincount(lists.lengths, minlength=longest + 1).tolist(),
  }


def replicate(
  job: graph_plan.Job, lists: tuple[str, ...], task: tuple[int, int]
) -> dict[str, Any]:
  """Sends lists to the partitions of recordings that they touch."""
  number, num_partitions = task
  whole = colisten.decode_lists(np.load(lists[number]))
  # A list goes to no more partitions than it has entries.
  copies = np.minimum(whole.lengths, num_partitions) * whole.lengths
  cuts = graph_plan.cuts(copies, job.sizes.events_per_task)
  path = job.path("partitions", number)
  with segments.writing(path, _ENTRY, num_partitions) as writer:
    for part in map(whole.slice, cuts):
      writer.append(
        *colisten.replicate(part, job.num_recordings, num_partitions)
      )
  return {}


def pair(
  job: graph_plan.Job,
  spread: tuple[str, ...],
  task: tuple[int, graph_plan.Block],
) -> dict[str, int]:
  """Finds the strongest pairs of a block of a partition."""
  number, block = task
  partition = range(block.partition, block.partition + 1)
  lists = colisten.decode_lists(segments.read(spread, partition, _ENTRY))
  num_pairs = 0
  num_chunks = job.num_shards * job.chunks_per_shard
  with segments.writing(
    job.path("pairs", number), graph_plan.PAIR, num_chunks
  ) as writer:
    for pairs, found in colisten.strong_pairs(
      lists,
      block.recordings,
      recording_hashes=job.load(HASHES),
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
      rows = both[order].view(graph_plan.PAIR).ravel()
      writer.append(rows, np.bincount(chunks, minlength=num_chunks))
  return {"pairs": num_pairs}


def unite(
  job: graph_plan.Job, pairs: tuple[str, ...], task: tuple[int, int]
) -> dict[str, int]:
  """Unites the pairs that either end kept to the rows of a shard."""
  number, shard = task
  first = shard * job.chunks_per_shard
  parts = []
  for chunk in range(first, first + job.chunks_per_shard):
    rows = segments.read(pairs, range(chunk, chunk + 1), graph_plan.PAIR)
    table = rows.view("<i4").reshape(-1, 3)
    parts.append(colisten.unite(table, job.chunk(chunk), job.num_recordings))
  degrees, neighbors, counts = map(np.concatenate, zip(*parts, strict=True))
  with files.atomic_write(job.path("rows", number)) as file:
    np.savez(file, degrees=degrees, neighbors=neighbors, counts=counts)
  return {}


def contest(
  job: graph_plan.Job, rows: tuple[str, ...], task: tuple[int, int]
) -> dict[str, int]:
  """Collects the edges of a shard's over-full recordings."""
  number, shard = task
  degrees, neighbors, counts = load_rows(rows[shard])
  is_over = job.load(OVER)
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


def cap(job: graph_plan.Job, contested: Sequence[str]) -> int:
  """Caps the degrees of over-full recordings; how many edges they keep.

  Only their edges are contested: wherever a recording has room for all its
  edges, it has room for them in any order.
  """
  kept = capping.cap_degrees(
    capping.undirected(
      np.concatenate([np.load(path) for path in contested]), job.load(OVER)
    ),
    job.load(HASHES),
    job.options.max_neighbors,
  )
  ends = kept[:, :2].astype(np.int64)
  keys = ends * job.num_recordings + ends[:, ::-1]
  job.save(KEPT, np.sort(keys.ravel()))
  return len(kept)


def over_full(job: graph_plan.Job, rows: Sequence[str]) -> npt.NDArray[Any]:
  """Which recordings have more neighbours than allowed: bool [recordings]."""
  degrees = np.concatenate([load_rows(path, "degrees")[0] for path in rows])
  return degrees > job.options.max_neighbors


def load_rows(path: str, *names: str) -> tuple[npt.NDArray[Any], ...]:
  """Degrees, neighbours and counts of a file of rows, or some of them."""
  with np.load(path) as rows:
    return tuple(rows[n] for n in names or ("degrees", "neighbors", "counts"))
