"""Asks an index, with the model that made it where a sound is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import search as search_lib

if TYPE_CHECKING:
  from music_embed.serving import model as model_lib  # Imports TensorFlow.

Embed = Callable[[str], npt.NDArray[np.float32]]


def search(
  queries: Sequence[str],
  *,
  index: str,
  model: str | None = None,
  k: int = 10,
  exclude_same_artist: bool = False,
  min_score: float | None = None,
) -> tuple[index_lib.Index, list[search_lib.Answer]]:
  """Answers queries.

  Args:
    queries: see `retrieval.query`.
    index: folder that `launch/index.py` wrote.
    model: exported model that embeds sounds; None takes the one that the index
      has noted.
    k: recordings of each answer.
    exclude_same_artist: leave out recordings by the artists of those that are
      asked for.
    min_score: of a recording.

  Returns:
    The index, and an answer for each query.

  Raises:
    ConfigError: a query cannot be understood, or an option is wrong.
    DataError: the index or a file is damaged.
  """
  if not queries:
    raise errors.ConfigError(
      "nothing to search for: give a word, a recording's id, an audio file, or"
      " a mix in quotes ('+piano -drums')"
    )
  if k < 1:
    raise errors.ConfigError(f"--k={k}: must be at least 1")
  opened = index_lib.Index.open(index)
  if model is not None:
    _require(model, opened)
  searcher = search_lib.Searcher(opened, sound_embedder(opened, model))
  answers = [
    searcher.search(
      query.strip(),
      k=k,
      exclude_same_artist=exclude_same_artist,
      min_score=min_score,
    )
    for query in queries
  ]
  return opened, answers


def sound_embedder(index: index_lib.Index, model: str | None) -> Embed | None:
  """What embeds an audio file as the recordings of an index were embedded.

  The model is looked at when it is first needed.

  Args:
    index: of the recordings.
    model: exported model; None takes the one that the index has noted.

  Returns:
    A function from a path to float32 [dim], which raises ConfigError where the
    model is gone or another one; None where none is known.
  """
  directory = model or index.model
  if not directory:
    return None
  loaded: list[model_lib.Model] = []

  def embed(path: str) -> npt.NDArray[np.float32]:
    if not loaded:
      _require(directory, index)
      from music_embed.serving import model as model_lib

      loaded.append(model_lib.Model(directory))
    return loaded[0].embed(path)

  return embed


def _require(directory: str, index: index_lib.Index) -> None:
  """Raises ConfigError where an export is not the one that made an index."""
  from music_embed.serving import uploads  # Imports what decodes audio.

  uploads.require(directory, index.fingerprint)
