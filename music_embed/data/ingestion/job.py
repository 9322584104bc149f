"""The phases of preparing a dataset, after its tables have been read."""

from __future__ import annotations

import array
import collections
import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import types
from music_embed.data.corpora import listening, recordings
from music_embed.data.engines import base, local, resumable
from music_embed.data.ingestion import distributed, shards, state
from music_embed.data.ingestion import options as options_lib
from music_embed.data.ingestion import pool as pool_lib
from music_embed.data.mining import graph_job, graph_plan, vocabulary
from music_embed.data.records import manifest, writer

REJECTED_FILE = "rejected.jsonl"
"""Recordings and rows of the log that could not be used, with the reason."""

TRUNCATED_FILE = "truncated.jsonl"
"""Recordings whose file held less audio than its header promised."""


def ingest(
  engine: base.Engine,
  table: str,
  plan: Sequence[shards.Shard],
  labels: vocabulary.Vocabulary,
  progress: state.State,
  options: options_lib.DatasetOptions,
) -> list[shards.ShardResult]:
  """Decodes the recordings and writes their shards.

  On one machine the processes share the files of a shard, so that the last
  one is done soon too; elsewhere a shard is a task.

  Args:
    engine: its processes decode.
    table: path of the recordings table, where relative audio paths start.
    plan: the shards; those that an earlier run finished are kept.
    labels: gives the label ids.
    progress: what an earlier run finished.
    options: of the dataset.

  Returns:
    What became of each shard.
  """
  if isinstance(engine, local.LocalEngine):
    return _ingest_here(
      table, plan, labels, progress, options, engine.num_workers
    )
  distributed.ingest(engine, table, plan, labels, progress, options)
  results = [progress.finished(shard) for shard in plan]
  return [result for result in results if result is not None]


def _ingest_here(
  table: str,
  plan: Sequence[shards.Shard],
  labels: vocabulary.Vocabulary,
  progress: state.State,
  options: options_lib.DatasetOptions,
  num_workers: int,
) -> list[shards.ShardResult]:
  done = [progress.finished(shard) for shard in plan]
  todo = [s for s, result in zip(plan, done, strict=True) if result is None]
  paths = (
    recordings.audio_path(table, recording)
    for shard in todo
    for recording in shard.recordings
  )
  num_all = sum(len(shard.recordings) for shard in plan)
  num_todo = sum(len(shard.recordings) for shard in todo)
  with (
    pool_lib.WorkerPool(
      num_workers=min(num_workers, max(num_todo, 1)),
      front_end=options.front_end,
      quantization=options.quantization,
      max_duration_s=options.ingestion.max_duration_s,
      time_limit_s=options.ingestion.time_limit_s,
    ) as pool,
    tqdm.tqdm(
      desc="audio", unit="rec", total=num_all, initial=num_all - num_todo
    ) as bar,
  ):
    outcomes = _shown(pool.map(paths), bar)
    results = []
    for shard, result in zip(plan, done, strict=True):
      if result is None:
        result = shards.write_shard(progress.output, shard, outcomes, labels)
        progress.save(shard, result)
      results.append(result)
  return results


def _shown(
  outcomes: Iterator[pool_lib.Outcome], bar: Any
) -> Iterator[pool_lib.Outcome]:
  audio_s = 0.0
  for outcome in outcomes:
    if outcome.features is not None:
      audio_s += outcome.features.audio_s
    elapsed_s = max(bar.format_dict["elapsed"], 1e-9)
    rate = f"{audio_s / 3600 / elapsed_s:.2f} audio-hours/s"
    bar.set_postfix_str(rate, refresh=False)
    bar.update()
    yield outcome


def mine(
  engine: base.Engine,
  plan: Sequence[shards.Shard],
  results: Sequence[shards.ShardResult],
  log: listening.ListeningLog,
  hashes: npt.NDArray[Any],
  progress: state.State,
  options: options_lib.DatasetOptions,
  sizes: graph_plan.Sizes,
) -> tuple[list[manifest.FileEntry], dict[str, int]]:
  """Mines the co-listen graph over the recordings that were kept.

  Args:
    engine: runs the tasks.
    plan: the shards; positions in the log are those of its recordings.
    results: what became of them.
    log: the listening log.
    hashes: keyed hash of each planned recording's id, uint64 [positions].
    progress: where the tasks' files go.
    options: of the dataset.
    sizes: of tasks.

  Returns:
    The graph's shards, and what was kept and dropped.
  """
  indices = _indices(plan, results)
  job = graph_plan.Job(
    folder=progress.folder("graph"),
    num_recordings=sum(len(result.kept) for result in results),
    vertices_per_shard=options.ingestion.vertices_per_shard,
    options=options.graph,
    sizes=sizes,
  )
  counts = graph_job.mine(
    engine,
    log.events,
    job,
    recording_hashes=hashes[indices >= 0],
    indices=indices,
  )
  written = resumable.map_once(
    engine,
    functools.partial(_write_graph_shard, job, progress.output),
    range(job.num_shards),
    folder=os.path.join(job.folder, "shards.done"),
    plan=repr(job.num_recordings),
    description="graph: shards",
    unit="shard",
  )
  entries = [manifest.FileEntry(**entry) for entry in written]
  return entries, counts | {
    "recordings_with_neighbors": sum(entry.num_records for entry in entries),
    "log_rows": log.num_rows,
    "log_rows_broken": log.num_broken,
    "log_rows_unknown_recording": log.num_unknown,
  }


def _indices(
  plan: Sequence[shards.Shard], results: Sequence[shards.ShardResult]
) -> npt.NDArray[Any]:
  """Index of each planned recording, int32; -1 where it was rejected."""
  indices = array.array("i")
  index = 0
  for shard, result in zip(plan, results, strict=True):
    left = collections.deque(result.kept)
    for recording in shard.recordings:
      is_kept = bool(left) and left[0] == recording.recording_id
      indices.append(index if is_kept else -1)
      if is_kept:
        left.popleft()
        index += 1
  return np.array(indices, np.int32)


def _write_graph_shard(
  job: graph_plan.Job, output: str, shard: int
) -> dict[str, Any]:
  degrees, neighbors, counts = graph_job.read_rows(job, shard)
  entry = writer.write_graph_shard(
    output,
    shard,
    job.num_shards,
    first=job.shard(shard).start,
    degrees=degrees,
    neighbors=neighbors,
    counts=counts,
  )
  return dataclasses.asdict(entry)


def finish(
  output: str,
  request: dict[str, Any],
  plan: Sequence[shards.Shard],
  results: Sequence[shards.ShardResult],
  labels: vocabulary.Vocabulary,
  graph: Sequence[manifest.FileEntry],
  log: listening.ListeningLog,
  options: options_lib.DatasetOptions,
  counts: dict[str, int],
) -> manifest.Manifest:
  """Writes all files that are not shards of recordings, the manifest last.

  Args:
    output: the dataset's directory.
    request: of `options.describe_request`.
    plan: the shards.
    results: what became of them.
    labels: the vocabulary.
    graph: the graph's shards.
    log: the listening log.
    options: of the dataset.
    counts: what earlier phases kept and dropped.

  Returns:
    The manifest.
  """
  rejected = [entry for result in results for entry in result.rejected]
  rows = [
    {
      "listening_log": os.path.basename(path),
      "listening_log_row": number,
      "reason": reason,
    }
    for path, number, reason in log.broken
  ]
  truncated = [entry for result in results for entry in result.truncated]
  entries = [
    *(result.file for result in results),
    *(result.sidecar for result in results),
    *graph,
    writer.write_vocabulary(output, labels.labels, labels.counts),
    writer.write_jsonl(output, REJECTED_FILE, [*rejected, *rows]),
    writer.write_jsonl(output, TRUNCATED_FILE, truncated),
  ]
  sizes = dict.fromkeys(types.SPLITS, 0)
  flags: collections.Counter[str] = collections.Counter()
  for shard, result in zip(plan, results, strict=True):
    sizes[shard.split] += len(result.kept)
    flags.update({f"recordings_{name}": n for name, n in result.flags.items()})
  made = manifest.Manifest(
    front_end=options.front_end,
    quantization=options.quantization,
    seed=options.seed,
    options=request["options"],
    inputs=request["inputs"],
    splits=sizes,
    counts={
      **counts,
      **flags,
      "recordings": sum(sizes.values()),
      "recordings_rejected": len(rejected),
      "audio_s": round(sum(result.audio_s for result in results)),
      "labels": len(labels.labels),
    },
    files=tuple(sorted(entries, key=lambda entry: entry.name)),
  )
  made.save(output)
  return made
