"""A stage whose network is frozen and reads its embeddings from a store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors
from music_embed.data.pipeline import embedded
from music_embed.data.records import embedding_store, prepared
from music_embed.models import embedder as embedder_lib
from music_embed.runs import embedding_cache
from music_embed.training import interruption
from music_embed.training import optimizers as optimizers_lib
from music_embed.training import task as task_lib
from music_embed.training import warm_start as warm_start_lib
from music_embed.training import workers as workers_lib


def check(
  tasks: Sequence[task_lib.Task],
  optimizers: Sequence[optimizers_lib.PartOptimizer],
  warm_start: warm_start_lib.WarmStart | None,
  augment: Any,
) -> None:
  """Checks that nothing of the stage needs its network to run.

  Args:
    tasks: of the stage.
    optimizers: of the stage.
    warm_start: where its network comes from.
    augment: of windows; there are none.

  Raises:
    ConfigError: something does, or there is no network to take over.
  """
  for task in tasks:
    if not isinstance(task.source, embedded.EmbeddedSource):
      raise errors.ConfigError(
        f"train.embeddings: {type(task.source).__name__} reads windows, not"
        " stored embeddings: bind EmbeddedSource as Task.source, or no"
        " embeddings"
      )
  parts = embedding_cache.PARTS
  for part in [part for options in optimizers for part in options.parts]:
    if part in parts:
      raise errors.ConfigError(
        f"train.embeddings: {part!r} has an optimiser, so that stored"
        " embeddings would not stay its own: train the label head alone, or"
        " bind no embeddings"
      )
  missing = sorted(set(parts) - set(warm_start.parts if warm_start else ()))
  if missing:
    raise errors.ConfigError(
      "train.embeddings: the stage trains no network and takes over no"
      f" {' and no '.join(missing)}: bind WarmStart.workdir to the run of a"
      f" trained one, and WarmStart.parts to {parts}"
    )
  if augment is not None:
    raise errors.ConfigError(
      f"train.augment: {type(augment).__name__} cannot change embeddings that"
      " are stored: bind None"
    )


def planned(
  tasks: Sequence[task_lib.Task],
  options: embedding_cache.CachedEmbeddings,
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
) -> list[task_lib.Task]:
  """The tasks with batches of the right shapes, before anything is embedded."""
  each = embedding_cache.rows_each(data, options.granularity)
  return reading(tasks, embedding_store.planned(each, embedder.projection.dim))


def reading(
  tasks: Sequence[task_lib.Task], store: embedding_store.EmbeddingStore
) -> list[task_lib.Task]:
  """The tasks with their sources reading a store."""
  return [
    dataclasses.replace(task, source=task.source.reading(store))
    if isinstance(task.source, embedded.EmbeddedSource)
    else task
    for task in tasks
  ]


def stored(
  workdir: str,
  options: embedding_cache.CachedEmbeddings,
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  *,
  warm_start: warm_start_lib.WarmStart,
  strategy: tf.distribute.Strategy,
  workers: workers_lib.Workers,
  should_stop: Callable[[], bool],
) -> embedding_store.EmbeddingStore:
  """The embeddings of a stage, computed where they are not there.

  Args:
    workdir: of the stage.
    options: granularity, directory, batch.
    embedder: the stage's network, in its present state.
    data: what it trains on.
    warm_start: where the network came from when the stage began.
    strategy: in which the network was built.
    workers: of the strategy.
    should_stop: asked between parts.

  Raises:
    ConfigError: the directory holds embeddings of something else.
    Interrupted: it was asked to stop; what is done is kept.
  """
  own = warm_start_lib.latest(workdir, warm_start_lib.LAST)
  directory = options.folder(workdir)
  key = embedding_cache.key_of(
    data, own or warm_start.path(), options.granularity
  )
  found = embedding_store.find(directory, key)
  if not workers.any(found is None):
    assert found is not None
    return found
  try:
    return embedding_cache.fill(
      directory,
      key,
      embedder,
      data,
      options=options,
      strategy=strategy,
      workers=workers,
      should_stop=should_stop,
    )
  except interruption.Stopped as stopped:
    raise interruption.Interrupted(
      f"{workdir}: stopped while embedding, what is done is kept; run the same"
      " command to go on"
    ) from stopped
