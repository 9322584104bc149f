"""Which finder an index gets, and how an older one is taken further."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.retrieval import approximate, finders
from music_embed.retrieval import card as card_lib

Array = npt.NDArray[Any]

FLAT_UP_TO = 200_000
"""Recordings that are all compared with each query, unless asked otherwise."""

_TUNED_FOR = 1.1
"""Growth after which an approximate finder is tuned again."""

WantedKind = Literal["auto", "flat", "ivf", "hnsw"]


@dataclasses.dataclass(frozen=True)
class Older:
  """The finder of the index that is added to.

  Attributes:
    kind: of it.
    finder: of its card.
    path: its file; None of a flat one.
    size: recordings in it.
    changed: int64 [rows], whose vectors are others now.
  """

  kind: card_lib.Kind
  finder: Mapping[str, Any]
  path: str | None
  size: int
  changed: npt.NDArray[np.int64]


def kind_for(
  wanted: WantedKind, size: int, older: card_lib.Kind | None
) -> card_lib.Kind:
  """How a number of recordings is indexed.

  Args:
    wanted: what was asked for.
    size: recordings.
    older: kind of the index that is added to; an approximate one stays.

  Returns:
    The kind.
  """
  if wanted != "auto":
    return wanted
  if older is not None and older != "flat":
    return older
  return "flat" if size <= FLAT_UP_TO else "ivf"


def write(
  path: str,
  kind: card_lib.Kind,
  vectors: Array,
  words: Array | None,
  *,
  older: Older | None = None,
  options: approximate.Options | None = None,
) -> dict[str, Any]:
  """Writes an approximate finder.

  An older one is taken further until the index has twice the recordings that
  it was trained on, unless it does not find enough of the new ones.

  Args:
    path: of its file.
    kind: "ivf" or "hnsw".
    vectors: float32 [size, dim], unit norm.
    words: float32 [words, dim], unit norm; what it is tuned with.
    older: what may be taken further.
    options: how it is built.

  Returns:
    The finder's part of `index.json`.

  Raises:
    TooInexactError: it does not find enough.
  """
  job = _Job(path, kind, vectors, words, options or approximate.Options())
  further = older is not None and _fits(older, kind, len(vectors))
  try:
    return job.run(older if further else None)
  except approximate.TooInexactError:
    if not further:
      raise
    return job.run(None)


def _fits(older: Older, kind: card_lib.Kind, size: int) -> bool:
  """Whether an older finder can be taken further."""
  if older.kind != kind or older.path is None:
    return False
  if kind == "hnsw" and len(older.changed):
    return False  # Nothing can be taken out of a graph.
  return bool(size < 2 * older.finder["trained_on"])


@dataclasses.dataclass(frozen=True)
class _Job:
  """See `write`."""

  path: str
  kind: card_lib.Kind
  vectors: Array
  words: Array | None
  options: approximate.Options

  def run(self, older: Older | None) -> dict[str, Any]:
    """Trains, adds, tunes and writes; or takes an older finder further."""
    index: Any
    size = len(self.vectors)
    if older is not None and older.path is not None:
      index = faiss.read_index(older.path)
      if len(older.changed):
        approximate.remove(index, older.changed)
      rows = np.concatenate([older.changed, np.arange(older.size, size)])
    else:
      rows = np.arange(size)
      index = self._empty()
    approximate.add(index, self.vectors, rows, in_order=self.kind == "hnsw")
    told: dict[str, Any] = {
      "trained_on": size if older is None else older.finder["trained_on"]
    }
    told |= self._tuning(index, older)
    _write_index(index, self.path)
    return told

  def _empty(self) -> Any:
    if self.kind == "ivf":
      return approximate.trained_lists(self.vectors, self.options)
    return approximate.empty_graph(self.vectors, self.options)

  def _tuning(self, index: Any, older: Older | None) -> dict[str, Any]:
    """Breadth and recall: the older ones', where little has been added."""
    size = len(self.vectors)
    if older is not None and size < _TUNED_FOR * older.finder["tuned_on"]:
      return dict(older.finder)

    def make(breadth: int, factor: int) -> finders.Finder:
      return finders.of(self.kind, index, breadth, factor)

    most = int(index.nlist) if self.kind == "ivf" else min(4096, size)
    found = approximate.tuned(
      make, self.vectors, self.words, most=most, options=self.options
    )
    told = {
      "breadth": found.breadth,
      "factor": found.factor,
      "recall_at_10": dict(found.recall_at_10),
      "tuned_on": size,
    }
    if self.kind == "ivf":
      return told | {"lists": most}
    return told | {"links": self.options.neighbors}


def _write_index(index: Any, path: str) -> None:
  module: Any = faiss  # Its stubs lack what its Python side adds.
  with files.atomic_write(path) as file:
    faiss.write_index(index, module.PyCallbackIOWriter(file.write))
