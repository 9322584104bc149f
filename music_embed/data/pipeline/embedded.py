"""Batches of stored embeddings with the labels of their recordings."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from music_embed.core import errors, keys, seeds, types
from music_embed.data.pipeline import (
  batching,
  labelled,
  recording_windows,
  sampling,
)
from music_embed.data.records import embedding_store, prepared


class EmbeddedSource(labelled.LabelledSource):
  """`LabelledSource` for a network that trains no more.

  In place of windows a batch holds embeddings, which a store has for all
  recordings. They are drawn as windows are: a recording, then, uniformly, one
  of its rows.
  """

  kind = "embedded"
  _store: embedding_store.EmbeddingStore | None = None

  def reading(self, store: embedding_store.EmbeddingStore) -> Self:
    """The source with the embeddings that it reads."""
    source = copy.copy(self)
    source._store = store
    return source

  def steps(
    self,
    dataset: prepared.PreparedDataset,
    *,
    seed: int,
    worker: types.Slice = batching.WHOLE,
  ) -> batching.Steps:
    """See `StepSource`.

    Returns:
      Batches of EMBEDDING float32 [windows, dim], RECORDING int64 [windows],
      and LABEL_IDS int32 [windows, max_labels] padded with -1.

    Raises:
      ConfigError: it was given no store, or one of another dataset.
      DataError: no training recording has any label.
    """
    store = self._store
    if store is None:
      raise errors.ConfigError(
        "EmbeddedSource reads stored embeddings: bind train.train.embeddings ="
        " @embedding_cache.CachedEmbeddings()"
      )
    if store.num_recordings != dataset.num_recordings:
      raise errors.ConfigError(
        f"{store.directory}: embeddings of {store.num_recordings:,} recordings,"
        f" but {dataset.directory} has {dataset.num_recordings:,}"
      )
    recordings, targets = self._targets(dataset)
    return embedded_steps(
      store,
      draw=self._draw(dataset, recordings),
      targets=targets,
      batch=self.batch_windows,
      seed=seed,
      worker=worker,
    )


def embedded_steps(
  store: embedding_store.EmbeddingStore,
  *,
  draw: sampling.RecordingDraw,
  targets: recording_windows.Targets,
  batch: int,
  seed: int,
  worker: types.Slice = batching.WHOLE,
) -> batching.Steps:
  """Batches of stored embeddings by step.

  Args:
    store: embeddings of all recordings.
    draw: of recordings.
    targets: of a recording.
    batch: rows of the global batch.
    seed: of the draws.
    worker: which of them are made.

  Returns:
    Batches of EMBEDDING [batch, dim], RECORDING [batch], and the targets.
  """
  own = worker.rows(batch)
  rows = own.stop - own.start

  def make(step: int) -> batching.Batch:
    random = seeds.generator(seed, EmbeddedSource.kind, step)
    draws = random.random((2, batch))[:, own]
    recordings = draw(draws[0])
    begin, end = store.indptr[recordings], store.indptr[recordings + 1]
    places = begin + (draws[1] * (end - begin)).astype(np.int64)
    # A product may round up to the end.
    places = np.minimum(places, end - 1)
    return {
      keys.EMBEDDING: np.asarray(store.embeddings[places]),
      keys.RECORDING: recordings,
      targets.key: targets.rows(recordings),
    }

  return batching.Steps(
    make,
    {
      keys.EMBEDDING: batching.ArraySpec(
        (rows, store.dim), np.dtype(np.float32)
      ),
      keys.RECORDING: batching.ArraySpec((rows,), np.dtype(np.int64)),
      targets.key: batching.ArraySpec((rows, *targets.shape), targets.dtype),
    },
  )
