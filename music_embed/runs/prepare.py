"""From tables and audio files to a dataset on disk."""

from __future__ import annotations

import os
import sys

import tqdm

from music_embed.core import errors, files, types
from music_embed.data.corpora import listening
from music_embed.data.corpora import recordings as recordings_lib
from music_embed.data.ingestion import job, shards, state
from music_embed.data.ingestion import options as options_lib
from music_embed.data.mining import sanitize, splits, vocabulary
from music_embed.data.records import manifest


def prepare(
  *,
  recordings: str,
  listening_log: str,
  output: str,
  num_workers: int | None = None,
  seed: int = 0,
  front_end: types.FrontEnd | None = None,
  quantization: types.Quantization | None = None,
  ingestion_options: options_lib.IngestionOptions | None = None,
  split_options: splits.SplitOptions | None = None,
  vocabulary_options: vocabulary.VocabularyOptions | None = None,
  graph_options: sanitize.GraphOptions | None = None,
) -> manifest.Manifest:
  """Prepares a dataset.

  Can be interrupted at any moment and called again: shards that were
  finished are kept, and the files come out as if nothing had happened. The
  number of workers has no influence on them.

  Args:
    recordings: the recordings table (`data.corpora.recordings`).
    listening_log: the listening log (`data.corpora.listening`).
    output: directory of the dataset; new, or that of an earlier call.
    num_workers: decoding processes; as many as cores by default.
    seed: of splits, order and caps.
    front_end: what is stored of a recording; log-mels by default.
    quantization: how its values are stored; uint8 by default (waveforms:
      int16).
    ingestion_options: how recordings become records.
    split_options: training, validation and evaluation.
    vocabulary_options: which n-grams become labels.
    graph_options: how the co-listen graph is mined.

  Returns:
    The manifest, that of the earlier call if it had finished.

  Raises:
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
  table = recordings_lib.read_recordings(recordings)
  used = _with_music(recordings, table, options.ingestion.min_music_share)
  plan = shards.plan_shards(
    used,
    options=options.splits,
    seed=seed,
    recordings_per_shard=options.ingestion.recordings_per_shard,
  )
  planned = [r.recording_id for shard in plan for r in shard.recordings]
  log = listening.read_listening_log(
    listening_log,
    {recording_id: position for position, recording_id in enumerate(planned)},
    seed=seed,
    max_broken_share=options.ingestion.max_broken_share,
  )
  labels = _training_vocabulary(plan, options.vocabulary)
  with state.unfinished(output, request) as progress:
    results = job.ingest(
      recordings, plan, labels, progress, options, num_workers or _num_cores()
    )
    if not any(result.kept for result in results):
      progress.discard(plan)  # Else the next run would believe it, too.
      raise _nothing_kept(recordings, results)
    mined, counts = job.mine(plan, results, log, options)
    counts["table_rows"] = len(table)
    counts["recordings_dropped_too_little_music"] = len(table) - len(used)
    made = job.finish(
      output, request, plan, results, labels, mined, log, options, counts
    )
  _say(_summary(output, made))
  return made


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


def _training_vocabulary(
  plan: list[shards.Shard], options: vocabulary.VocabularyOptions
) -> vocabulary.Vocabulary:
  documents = (
    (recording.title, recording.description)
    for shard in plan
    if shard.split == types.SPLITS[0]
    for recording in shard.recordings
  )
  return vocabulary.count_vocabulary(documents, options)


def _nothing_kept(
  path: str, results: list[shards.ShardResult]
) -> errors.DataError:
  first = results[0].rejected[0]
  return errors.DataError(
    f"{path}: not one recording could be used; {first['audio']}:"
    f" {first['reason']}"
  )


def _summary(output: str, made: manifest.Manifest) -> str:
  counts = made.counts
  sizes = ", ".join(f"{size:,} {name}" for name, size in made.splits.items())
  return (
    f"{output}: {counts['recordings']:,} recordings ({sizes},"
    f" {counts['audio_s'] / 3600:,.1f} hours),"
    f" {counts['recordings_rejected']:,} rejected; {counts['edges']:,} edges;"
    f" {counts['labels']:,} labels; {counts['users']:,} users, dropped"
    f" {counts['users_dropped_too_few_recordings']:,} with too few recordings"
  )


def _say(text: str) -> None:
  tqdm.tqdm.write(text, file=sys.stderr)


def _num_cores() -> int:
  return len(os.sched_getaffinity(0))
