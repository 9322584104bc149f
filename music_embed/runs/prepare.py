"""From tables and audio files to a dataset on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import tqdm

from music_embed.core import errors, files, types
from music_embed.data import engines
from music_embed.data.corpora import listening
from music_embed.data.corpora import recordings as recordings_lib
from music_embed.data.engines import base
from music_embed.data.ingestion import job, shards, state
from music_embed.data.ingestion import options as options_lib
from music_embed.data.mining import (
  graph_plan,
  ngram_counts,
  sanitize,
  splits,
  vocabulary,
)
from music_embed.data.records import manifest


def prepare(
  *,
  recordings: str,
  listening_log: str,
  output: str,
  engine: str = "local",
  num_workers: int | None = None,
  spark_master: str | None = None,
  seed: int = 0,
  front_end: types.FrontEnd | None = None,
  quantization: types.Quantization | None = None,
  ingestion_options: options_lib.IngestionOptions | None = None,
  split_options: splits.SplitOptions | None = None,
  vocabulary_options: vocabulary.VocabularyOptions | None = None,
  graph_options: sanitize.GraphOptions | None = None,
  graph_sizes: graph_plan.Sizes | None = None,
) -> manifest.Manifest:
  """Prepares a dataset.

  Can be interrupted at any moment and called again: shards that were
  finished are kept, and the files come out as if nothing had happened. The
  engine and the number of its workers have no influence on them.

  Args:
    recordings: the recordings table (`data.corpora.recordings`).
    listening_log: the listening log (`data.corpora.listening`): a table, a
      folder of tables, or a glob pattern.
    output: directory of the dataset; new, or that of an earlier call.
    engine: "local" or "spark"; see `data.engines`.
    num_workers: processes of the local engine; as many as cores by default.
    spark_master: where Spark runs.
    seed: of splits, order and caps.
    front_end: what is stored of a recording; log-mels by default.
    quantization: how its values are stored; uint8 by default (waveforms:
      int16).
    ingestion_options: how recordings become records.
    split_options: training, validation and evaluation.
    vocabulary_options: which n-grams become labels.
    graph_options: how the co-listen graph is mined.
    graph_sizes: how much a task of it holds in memory.

  Returns:
    The manifest, that of the earlier call if it had finished.

  Raises:
    ConfigError: there is no such engine here.
    DataError: a table cannot be used, no recording can, or `output` holds
      something else or another dataset.
  """
  files.require_local(output, "output")
  front_end = front_end or types.LogMelFrontEnd()
  if quantization is None:
    quantization = types.Quantization.default(front_end)
  options = options_lib.DatasetOptions(
    front_end=front_end,
    quantization=quantization.resolved(front_end),
    ingestion=ingestion_options or options_lib.IngestionOptions(),
    splits=split_options or splits.SplitOptions(),
    vocabulary=vocabulary_options or vocabulary.VocabularyOptions(),
    graph=graph_options or sanitize.GraphOptions(),
    seed=seed,
  )
  request = options_lib.describe_request(
    recordings=recordings, listening_log=listening_log, options=options
  )
  if (done := state.finished_manifest(output, request)) is not None:
    _say(f"{output} is already prepared from these inputs: nothing to do")
    return done
  with engines.create(
    engine, num_workers=num_workers, spark_master=spark_master
  ) as runner:
    made = _prepare(
      runner,
      recordings=os.path.abspath(recordings),
      listening_log=listening_log,
      output=os.path.abspath(output),
      request=request,
      options=options,
      sizes=graph_sizes or graph_plan.Sizes(),
    )
  _say(_summary(output, made))
  return made


def _prepare(
  engine: base.Engine,
  *,
  recordings: str,
  listening_log: str,
  output: str,
  request: dict[str, Any],
  options: options_lib.DatasetOptions,
  sizes: graph_plan.Sizes,
) -> manifest.Manifest:
  table = recordings_lib.read_recordings(recordings)
  used = _with_music(recordings, table, options.ingestion.min_music_share)
  plan = shards.plan_shards(
    used,
    options=options.splits,
    seed=options.seed,
    recordings_per_shard=options.ingestion.recordings_per_shard,
  )
  with state.unfinished(output, request) as progress:
    try:
      log, hashes = _read_log(engine, listening_log, plan, progress, options)
    except errors.DataError:
      # Else a mended log would be another request. Where audio was decoded,
      # the log was right before, and hours of work stay.
      if not any(progress.finished(shard) for shard in plan):
        progress.discard(plan)
      raise
    labels = ngram_counts.count(
      engine,
      _training_texts(plan),
      options.vocabulary,
      directory=progress.folder("vocabulary"),
    )
    results = job.ingest(engine, recordings, plan, labels, progress, options)
    if not any(result.kept for result in results):
      progress.discard(plan)  # Else the next run would believe it, too.
      raise _nothing_kept(recordings, results)
    graph, counts = job.mine(
      engine, plan, results, log, hashes, progress, options, sizes
    )
    counts["table_rows"] = len(table)
    counts["recordings_dropped_too_little_music"] = len(table) - len(used)
    return job.finish(
      output, request, plan, results, labels, graph, log, options, counts
    )


def _read_log(
  engine: base.Engine,
  path: str,
  plan: list[shards.Shard],
  progress: state.State,
  options: options_lib.DatasetOptions,
) -> tuple[listening.ListeningLog, npt.NDArray[Any]]:
  """Reads the log, before hours of decoding: it may be refused."""
  folder = progress.folder("log")
  planned = [r.recording_id for shard in plan for r in shard.recordings]
  hashes = listening.write_positions(folder, planned, options.seed)
  log = listening.read_listening_log(
    engine,
    path,
    folder=folder,
    seed=options.seed,
    max_broken_share=options.ingestion.max_broken_share,
  )
  return log, hashes


def _with_music(
  path: str, table: list[recordings_lib.Recording], min_share: float
) -> list[recordings_lib.Recording]:
  used = [
    recording
    for recording in table
    if recording.music_share is None or recording.music_share >= min_share
  ]
  if not used:
    raise errors.DataError(
      f"{path}: no recording has a music_share of at least {min_share}"
    )
  return used


def _training_texts(plan: list[shards.Shard]) -> Iterator[tuple[str, str]]:
  for shard in plan:
    if shard.split == types.SPLITS[0]:
      for recording in shard.recordings:
        yield recording.title, recording.description


def _nothing_kept(
  path: str, results: list[shards.ShardResult]
) -> errors.DataError:
  first = results[0].rejected[0]
  return errors.DataError(
    f"{path}: not one recording could be used; {first['audio']}:"
    f" {first['reason']}"
  )


def _summary(output: str, made: manifest.Manifest) -> str:
  counts, graph = made.counts, made.options["graph"]
  sizes = ", ".join(f"{size:,} {name}" for name, size in made.splits.items())
  odd = ", ".join(
    f"{counts[f'recordings_{flag}']:,} {flag}"
    for flag in ("truncated", "short", "long", "clipped")
  )
  lines = (
    f"{counts['recordings']:,} recordings ({sizes}),"
    f" {counts['audio_s'] / 3600:,.1f} hours; {odd}",
    f"dropped {counts['recordings_dropped_too_little_music']:,} recordings with"
    f" too little music, rejected {counts['recordings_rejected']:,}",
    f"{counts['log_rows']:,} rows of the listening log; dropped"
    f" {counts['log_rows_broken']:,} broken,"
    f" {counts['log_rows_unknown_recording']:,} of unknown and"
    f" {counts['log_rows_rejected_recording']:,} of rejected recordings",
    f"{counts['users']:,} users; dropped"
    f" {counts['users_dropped_too_few_recordings']:,} users with <"
    f" {graph['min_recordings_per_user']:,} recordings, capped"
    f" {counts['users_capped_too_many_recordings']:,} users with >"
    f" {graph['max_recordings_per_user']:,}",
    f"{counts['colisten_pairs']:,} pairs with >= {graph['tau']:,} users;"
    f" {counts['edges']:,} edges, dropped {counts['edges_dropped_by_cap']:,}"
    f" beyond {graph['max_neighbors']:,} neighbours",
    f"{counts['labels']:,} labels",
  )
  return "\n  ".join([f"{output}:", *lines])


def _say(text: str) -> None:
  tqdm.tqdm.write(text, file=sys.stderr)
