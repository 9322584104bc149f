"""Materialises the batches that a training run will read."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from music_embed.core import errors
from music_embed.data import engines
from music_embed.data.pipeline import batching, materialized
from music_embed.data.pipeline import layout as layout_lib
from music_embed.data.pipeline import materialize as materialize_lib
from music_embed.data.records import prepared
from music_embed.training import task as task_lib

_OURS = ("part-", "materializ", "lock", ".")
"""How the names of files begin that a folder of batches may hold."""


def materialize(
  *,
  output: str,
  dataset: str,
  tasks: Sequence[task_lib.Task],
  seed: int = 0,
  senses: str | None = None,
  task: str | None = None,
  first_step: int = 0,
  num_steps: int,
  parts: int = 4,
  lanes: int = 4,
  steps_per_shard: int = 32,
  engine: str = "local",
  num_workers: int | None = None,
  spark_master: str | None = None,
) -> layout_lib.Layout:
  """Writes the batches of one task's source.

  Can be interrupted and called again: shards that were finished are kept.
  The engine and the number of workers have no influence on the files.

  Args:
    output: folder of the batches, local or on an object store.
    dataset: directory that `launch/prepare.py` wrote.
    tasks: of the training run.
    seed: of the training run.
    senses: of the training run; batches hold the dataset's own labels only.
    task: objective's name of the task; may be left out where there is one.
    first_step: step of the first batch.
    num_steps: batches.
    parts: pieces of a batch, at most; so many workers of a training job read
      no more than their own rows.
    lanes: files that are read at once.
    steps_per_shard: batches in one file of a lane.
    engine: "local" or "spark".
    num_workers: processes of the local engine.
    spark_master: of Spark's.

  Returns:
    What was written.

  Raises:
    ConfigError: a number or name makes no sense.
    DataError: the dataset cannot be used, the folder holds other batches or
      files, or its disk is too small for these.
  """
  if senses is not None:
    raise errors.ConfigError(
      f"train.senses = {senses!r}: batches of senses cannot be materialised;"
      " train on them from the dataset, or from stored embeddings"
    )
  source = _source(tasks, task)
  data = prepared.PreparedDataset(dataset)
  layout = layout_lib.of_source(
    data,
    source,
    seed=seed,
    steps=range(first_step, first_step + num_steps),
    parts=parts,
    lanes=lanes,
    steps_per_shard=steps_per_shard,
  )
  _say(
    f"{output}: {num_steps:,} batches of {layout.batch:,} rows,"
    f" {_size(layout.num_bytes)} in"
    f" {layout.num_shards * layout.parts:,} shards"
  )
  _check_folder(output, layout)
  with engines.create(
    engine, num_workers=num_workers, spark_master=spark_master
  ) as created:
    materialize_lib.materialize(
      data, source, layout, output=output, engine=created
    )
  return layout


def _source(
  tasks: Sequence[task_lib.Task], name: str | None
) -> batching.StepSource:
  names = [task.objective.name for task in tasks]
  if name is None and len(names) > 1:
    raise errors.ConfigError(
      f"the run has tasks {', '.join(names)}: name one with --task"
    )
  chosen = [t for t in tasks if name in (None, t.objective.name)]
  if not chosen:
    raise errors.ConfigError(
      f"--task={name}: the run has {', '.join(names) or 'no tasks'}"
    )
  source: object = chosen[0].source
  if isinstance(source, materialized.MaterializedSource):
    source = source.source
  if not isinstance(source, batching.StepSource):
    raise errors.ConfigError(
      f"the source of task {chosen[0].objective.name} cannot be materialised:"
      " name the gin file of a run that reads windows from the dataset"
    )
  return source


def _check_folder(output: str, layout: layout_lib.Layout) -> None:
  """Refuses a local folder with other files, and a disk that is too small."""
  if "://" in output:
    return
  there = os.path.abspath(output)
  names = os.listdir(there) if os.path.exists(there) else []
  if not all(name.startswith(_OURS) for name in names):
    raise errors.DataError(
      f"{output} holds files that are no batches: choose another --output"
    )
  written = sum(os.path.getsize(os.path.join(there, name)) for name in names)
  while not os.path.exists(there):
    there = os.path.dirname(there)
  free = shutil.disk_usage(there).free + written
  if layout.num_bytes > free:
    raise errors.DataError(
      f"{output}: the batches take {_size(layout.num_bytes)} and"
      f" {_size(free)} are free; write a part of the run with --num_steps, or"
      " choose another --output"
    )


def _size(num_bytes: float) -> str:
  if num_bytes < 1e8:
    return f"{num_bytes / 1e6:,.1f} MB"
  return f"{num_bytes / 1e9:,.1f} GB"


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
