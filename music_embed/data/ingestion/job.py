"""The phases of preparing a dataset, after its tables have been read."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from music_embed.core import types
from music_embed.data.corpora import listening, recordings
from music_embed.data.ingestion import options as options_lib
from music_embed.data.ingestion import pool as pool_lib
from music_embed.data.ingestion import shards, state
from music_embed.data.mining import colisten, graph, hashing, vocabulary
from music_embed.data.records import manifest, writer

REJECTED_FILE = "rejected.jsonl"
"""Recordings and rows of the log that could not be used, with the reason."""

TRUNCATED_FILE = "truncated.jsonl"
"""Recordings whose file held less audio than its header promised."""


def ingest(
  table: str,
  plan: Sequence[shards.Shard],
  labels: vocabulary.Vocabulary,
  progress: state.State,
  options: options_lib.DatasetOptions,
  num_workers: int,
) -> list[shards.ShardResult]:
  """Decodes the recordings and writes their shards, in order.

  Args:
    table: path of the recordings table, where relative audio paths start.
    plan: the shards; those that an earlier run finished are kept.
    labels: gives the label ids.
    progress: what an earlier run finished.
    options: of the dataset.
    num_workers: decoding processes.

  Returns:
    What became of each shard.
  """
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
  plan: Sequence[shards.Shard],
  results: Sequence[shards.ShardResult],
  log: listening.ListeningLog,
  options: options_lib.DatasetOptions,
) -> tuple[graph.Graph, dict[str, int]]:
  """Mines the co-listen graph over the recordings that were kept.

  Args:
    plan: the shards; positions in the log are those of its recordings.
    results: what became of them.
    log: the listening log.
    options: of the dataset.

  Returns:
    The graph over the recordings' indices, and what was kept and dropped.
  """
  kept = [recording_id for result in results for recording_id in result.kept]
  index = {recording_id: i for i, recording_id in enumerate(kept)}
  planned = (r.recording_id for shard in plan for r in shard.recordings)
  mapping = np.array([index.get(r, -1) for r in planned], np.int64)
  events = mapping[log.recordings]
  joined = events >= 0
  hashes = (hashing.hash64(options.seed, "recording", r) for r in kept)
  mined, counts = colisten.colisten_graph(
    log.users[joined],
    events[joined],
    user_hashes=log.user_hashes,
    recording_hashes=np.fromiter(hashes, np.uint64, len(kept)),
    options=options.graph,
  )
  return mined, counts | {
    "log_rows": log.num_rows,
    "log_rows_broken": log.num_broken,
    "log_rows_unknown_recording": log.num_unknown,
    "log_rows_rejected_recording": int(np.count_nonzero(~joined)),
  }


def finish(
  output: str,
  request: dict[str, Any],
  plan: Sequence[shards.Shard],
  results: Sequence[shards.ShardResult],
  labels: vocabulary.Vocabulary,
  mined: graph.Graph,
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
    mined: the graph.
    log: the listening log.
    options: of the dataset.
    counts: what earlier phases kept and dropped.

  Returns:
    The manifest.
  """
  rejected = [entry for result in results for entry in result.rejected]
  rows = [{"listening_log_row": n, "reason": why} for n, why in log.broken]
  truncated = [entry for result in results for entry in result.truncated]
  entries = [
    *(result.file for result in results),
    *(result.sidecar for result in results),
    *writer.write_graph(
      output, mined, vertices_per_shard=options.ingestion.vertices_per_shard
    ),
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
