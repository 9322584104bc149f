"""Which finder an index gets, and how an older one is taken further."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
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

  Centres are kept until the index has twice the recordings that they were
  trained on.

  Args:
    path: of its file.
    kind: "ivf" or "hnsw".
    vectors: float32 [size, dim], unit norm.
    words: float32 [words, dim], unit norm; what it is tuned with.
    older: what may be taken further.
    options: how it is built.

  Returns:
    The finder's part of `index.json`.
  """
  options = options or approximate.Options()
  if kind == "ivf":
    return _write_lists(path, vectors, words, older, options)
  return _write_graph(path, vectors, words, older, options)


def _write_lists(
  path: str,
  vectors: Array,
  words: Array | None,
  older: Older | None,
  options: approximate.Options,
) -> dict[str, Any]:
  size = len(vectors)
  if (
    older is not None
    and older.kind == "ivf"
    and older.path is not None
    and size < 2 * older.finder["trained_on"]
  ):
    index: Any = faiss.read_index(older.path)
    approximate.remove(index, older.changed)
    rows = np.concatenate([older.changed, np.arange(older.size, size)])
    trained_on = older.finder["trained_on"]
  else:
    index = approximate.trained_lists(vectors, options)
    rows, trained_on = np.arange(size), size
  approximate.add(index, vectors, rows, in_order=False)
  _write_index(index, path)
  told = {"num_lists": int(index.nlist), "trained_on": trained_on}

  def make(probes: int) -> finders.Finder:
    return finders.Lists(index, probes)

  return told | _tuning(
    make, "num_probes", vectors, words, int(index.nlist), older, options
  )


def _write_graph(
  path: str,
  vectors: Array,
  words: Array | None,
  older: Older | None,
  options: approximate.Options,
) -> dict[str, Any]:
  size = len(vectors)
  if (
    older is not None
    and older.kind == "hnsw"
    and older.path is not None
    and not len(older.changed)  # Nothing can be taken out of a graph.
  ):
    index = faiss.read_index(older.path)
    rows = np.arange(older.size, size)
  else:
    index = approximate.empty_graph(vectors, options)
    rows = np.arange(size)
  approximate.add(index, vectors, rows, in_order=True)
  _write_index(index, path)

  def make(breadth: int) -> finders.Finder:
    return finders.Graph(index, breadth)

  told = {"links": options.neighbors}
  most = min(4096, size)
  return told | _tuning(make, "breadth", vectors, words, most, older, options)


def _tuning(
  make: Callable[[int], finders.Finder],
  name: str,
  vectors: Array,
  words: Array | None,
  most: int,
  older: Older | None,
  options: approximate.Options,
) -> dict[str, Any]:
  """Breadth and recall: the older ones', where little has been added."""
  kept = ("recall_at_10", "tuned_on", name)
  before = {} if older is None else older.finder
  if name in before and len(vectors) < _TUNED_FOR * before["tuned_on"]:
    return {key: before[key] for key in kept}
  found = approximate.tuned(make, vectors, words, most=most, options=options)
  return {
    "recall_at_10": dict(found.recall_at_10),
    "tuned_on": len(vectors),
    name: found.breadth,
  }


def _write_index(index: Any, path: str) -> None:
  module: Any = faiss  # Its stubs lack what its Python side adds.
  with files.atomic_write(path) as file:
    faiss.write_index(index, module.PyCallbackIOWriter(file.write))
