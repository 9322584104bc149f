"""What an index is built of: embeddings, and the words of their model."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

import numpy as np

from music_embed.core import errors
from music_embed.data.records import embedding_folder, vector_files
from music_embed.retrieval import build, entries
from music_embed.retrieval import vectors as vectors_lib


def of(path: str, model: str | None) -> build.Source:
  """Embeddings that are there already.

  Args:
    path: a folder that `launch/embed.py` wrote, or a file of ids and vectors
      (`data.records.vector_files`).
    model: exported model that made them; None takes the one that a folder has
      noted, if it is still there.

  Returns:
    The recordings, with the words of their model.

  Raises:
    ConfigError: there is nothing of the kind, or the model is another one.
    DataError: it is damaged.
  """
  if os.path.isdir(path):
    return _of_folder(embedding_folder.EmbeddingFolder.open(path), model)
  if not os.path.exists(path):
    raise errors.ConfigError(f"--embeddings={path}: no such folder or file")
  return _of_file(path, model)


def _of_folder(
  folder: embedding_folder.EmbeddingFolder, model: str | None
) -> build.Source:
  directory = os.path.abspath(model or folder.model)
  words = None
  if model is not None or os.path.exists(directory):
    fingerprint, dim, words = _words(directory)
    if (fingerprint, dim) != (folder.fingerprint, folder.dim):
      if model is not None:
        raise errors.ConfigError(
          f"--model={model}: is not the model that made {folder.directory}"
        )
      words = None  # Another one has taken its place.
  return build.Source(
    batches=lambda: map(_entries, folder.batches()),
    dim=folder.dim,
    fingerprint=folder.fingerprint,
    model=directory,
    words=words,
  )


def _entries(batch: embedding_folder.RecordingBatch) -> entries.Entries:
  return entries.Entries(
    ids=batch.ids,
    vectors=batch.vectors,
    titles=batch.titles,
    artists=[artist or "" for artist in batch.artists],
    audio=batch.audio,
    durations_s=batch.durations_s.tolist(),
    labels=batch.labels,
    scores=batch.scores,
  )


def _of_file(path: str, model: str | None) -> build.Source:
  rows = vector_files.read(path)
  dim = rows.vectors.shape[1]
  source = build.Source(batches=functools.partial(_means, rows), dim=dim)
  if model is None:
    return source
  fingerprint, expected, words = _words(model)
  if dim != expected:
    raise errors.ConfigError(
      f"--model={model}: embeds to {expected} numbers, but {path} has {dim}"
    )
  return build.Source(
    batches=source.batches,
    dim=dim,
    fingerprint=fingerprint,
    model=os.path.abspath(model),
    words=words,
  )


def _means(rows: vector_files.VectorRows) -> Iterator[entries.Entries]:
  """Recordings in order of appearance; of windows the mean direction."""
  places: dict[str, int] = {}
  owners = [places.setdefault(name, len(places)) for name in rows.ids]
  ids = list(places)
  if len(ids) == len(rows.ids):
    yield entries.Entries.bare(ids, rows.vectors)
    return
  sums = np.zeros((len(ids), rows.vectors.shape[1]))
  np.add.at(sums, owners, vectors_lib.unit(rows.vectors))
  yield entries.Entries.bare(ids, sums / np.bincount(owners)[:, None])


def _words(directory: str) -> tuple[str, int, build.Words | None]:
  """Fingerprint, width and words of an exported model."""
  from music_embed.serving import model as model_lib  # Imports TensorFlow.

  model = model_lib.Model(directory)
  names = model.label_names
  if names is None or "label_vectors" not in model.exported.card["signatures"]:
    return model.fingerprint, model.dim, None
  vectors = vectors_lib.unit(model.label_vectors())
  return model.fingerprint, model.dim, build.Words(names, vectors)
