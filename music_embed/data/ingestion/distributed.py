"""Decoding on an engine of several machines: a shard is a task."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from typing import Any

from music_embed.core import files
from music_embed.data.corpora import recordings
from music_embed.data.engines import base
from music_embed.data.ingestion import options as options_lib
from music_embed.data.ingestion import pool, shards, state
from music_embed.data.mining import vocabulary

_SHARDS, _LABELS = "shards.jsonl", "labels.json"


@dataclasses.dataclass(frozen=True)
class _Work:
  """What all tasks know.

  Attributes:
    folder: where the shards to write and the vocabulary are.
    table: path of the recordings table.
    progress: where results go.
    options: of the dataset.
    labels: SHA-256 of the vocabulary's file.
  """

  folder: str
  table: str
  progress: state.State
  options: options_lib.DatasetOptions
  labels: str


def ingest(
  engine: base.Engine,
  table: str,
  plan: Sequence[shards.Shard],
  labels: vocabulary.Vocabulary,
  progress: state.State,
  options: options_lib.DatasetOptions,
) -> None:
  """Writes the shards that an earlier run did not finish, and their results.

  Args:
    engine: runs the tasks.
    table: path of the recordings table, where relative audio paths start.
    plan: the shards.
    labels: gives the label ids.
    progress: what an earlier run finished; the dataset's absolute path.
    options: of the dataset.
  """
  folder = progress.folder("audio")
  path = os.path.join(folder, _LABELS)
  files.write_json(path, [labels.labels, labels.counts, labels.max_ngram])
  work = _Work(folder, table, progress, options, files.sha256(path))
  places = []
  with files.atomic_write(os.path.join(work.folder, _SHARDS)) as file:
    for shard in plan:
      if progress.finished(shard) is None:
        places.append(file.tell())
        file.write(json.dumps(dataclasses.asdict(shard)).encode() + b"\n")
  engine.map(
    functools.partial(_write, work), places, description="audio", unit="shard"
  )


def _write(work: _Work, place: int) -> None:
  with open(os.path.join(work.folder, _SHARDS), "rb") as file:
    file.seek(place)
    shard = _decode(json.loads(file.readline()))
  if work.progress.finished(shard) is not None:
    return  # This task runs again, after its host was lost.
  paths = (recordings.audio_path(work.table, r) for r in shard.recordings)
  options = work.options
  with pool.WorkerPool(
    num_workers=1,
    front_end=options.front_end,
    quantization=options.quantization,
    max_duration_s=options.ingestion.max_duration_s,
    time_limit_s=options.ingestion.time_limit_s,
  ) as workers:
    result = shards.write_shard(
      work.progress.output,
      shard,
      workers.map(paths),
      _labels(work.folder, work.labels),
    )
  work.progress.save(shard, result)


def _decode(values: dict[str, Any]) -> shards.Shard:
  members = (recordings.Recording(**fields) for fields in values["recordings"])
  return shards.Shard(values["name"], values["split"], tuple(members))


@functools.lru_cache(maxsize=1)
def _labels(folder: str, digest: str) -> vocabulary.Vocabulary:
  # A worker may outlive a dataset, and serve the next one of its name.
  del digest
  labels, counts, max_ngram = files.read_json(os.path.join(folder, _LABELS))
  return vocabulary.Vocabulary(tuple(labels), tuple(counts), max_ngram)
