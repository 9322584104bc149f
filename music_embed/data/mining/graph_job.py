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
import functools
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.data.engines import base, resumable, segments
from music_embed.data.mining import graph_phases, graph_plan

_PLAN = "plan.json"


def write_events(
  writer: segments.Writer,
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
) -> None:
  """Appends a chunk of events to a segment, by the users' partitions.

  Args:
    writer: of a segment of `graph_plan.EVENT`, of
      `graph_plan.USER_PARTITIONS` partitions.
    users: uint64 [events], keyed hashes of the users' ids.
    recordings: integers [events], positions.
  """
  # Sorted runs make the next phase's sort cheap.
  order = np.lexsort((recordings, users))
  rows = np.empty(len(order), graph_plan.EVENT)
  rows["user"], rows["recording"] = users[order], recordings[order]
  bounds = np.arange(1, graph_plan.USER_PARTITIONS, dtype=np.uint64)
  bounds *= np.uint64(2**64 // graph_plan.USER_PARTITIONS)
  cuts = np.searchsorted(users[order], bounds)
  writer.append(rows, np.diff(cuts, prepend=0, append=len(rows)))


def mine(
  engine: base.Engine,
  events: Sequence[str],
  job: graph_plan.Job,
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
  job.save(graph_phases.HASHES, recording_hashes)
  job.save(graph_phases.INDICES, indices)

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

  ranges = graph_plan.user_ranges(events, job.sizes.events_per_task)
  listed, lists = run("lists", graph_phases.list_users, events, ranges)
  lengths = np.sum([found.pop("lengths") for found in listed], axis=0)
  partitions = graph_plan.num_partitions(lengths, job)
  _, spread = run(
    "partitions", graph_phases.replicate, lists, [partitions] * len(lists)
  )
  tasks = graph_plan.pair_tasks(lengths, partitions, job)
  paired, pairs = run("pairs", graph_phases.pair, spread, tasks)
  _remove(spread)
  _, rows = run("rows", graph_phases.unite, pairs, range(job.num_shards))
  _remove(pairs)
  job.save(graph_phases.OVER, graph_phases.over_full(job, rows))
  contests, contested = run(
    "contest", graph_phases.contest, rows, range(len(rows))
  )
  num_kept = graph_phases.cap(job, contested)
  counts = {name: sum(found[name] for found in listed) for name in listed[0]}
  num_pairs = sum(found["pairs"] for found in paired)
  num_edges = sum(found["uncontested"] for found in contests) // 2 + num_kept
  return counts | {
    "colisten_pairs": num_pairs,
    "edges": num_edges,
    "edges_dropped_by_cap": num_pairs - num_edges,
  }


def read_rows(
  job: graph_plan.Job, shard: int
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
  degrees, neighbors, counts = graph_phases.load_rows(job.path("rows", shard))
  owners = np.repeat(np.asarray(vertices), degrees)
  is_over, kept = job.load(graph_phases.OVER), job.load(graph_phases.KEPT)
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


def _remove(paths: Sequence[str]) -> None:
  for path in paths:
    with contextlib.suppress(FileNotFoundError):
      os.unlink(path)
