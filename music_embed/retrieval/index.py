"""An index of embedded recordings, as `launch/index.py` writes it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.records import label_names
from music_embed.retrieval import card as card_lib
from music_embed.retrieval import catalogue as catalogue_lib
from music_embed.retrieval import finders
from music_embed.retrieval import vectors as vectors_lib

Array = npt.NDArray[Any]

_COMPARED = 1 << 16
"""Vectors that are compared exactly at a time."""


class Index:
  """Vectors of recordings, what is known of them, and the words of a model.

  Attributes:
    folder: where it lies.
    vectors: float32 [size, dim], unit norm, memory-mapped.
    catalogue: the recordings, by row.
    label_vectors: float32 [labels, dim], unit norm, memory-mapped; None where
      the model has no words.
  """

  def __init__(self, folder: str, card: card_lib.Card) -> None:
    """Maps the files that a card names; see `open`."""
    self.folder = folder
    self._card = card
    for stored in card.stored.values():
      card_lib.require_size(folder, stored)
    self.vectors = vectors_lib.opened(
      card.path(folder, card_lib.VECTORS), card.size, card.dim
    )
    self.catalogue = catalogue_lib.Catalogue.open(
      card.path(folder, card_lib.CATALOGUE), card.size
    )
    self.label_vectors = self._opened_label_vectors()
    self._lock = threading.Lock()
    # What is read later is held: the files of an index that is replaced are
    # deleted, and this one goes on as it was.
    self._held = {
      name: open(card.path(folder, name), "rb")  # noqa: SIM115
      for name in (card_lib.FINDER, card_lib.LABELS)
      if name in card.stored
    }

  def _opened_label_vectors(self) -> npt.NDArray[np.float32] | None:
    if not self._card.num_labels:
      return None
    path = self._card.path(self.folder, card_lib.LABEL_VECTORS)
    return vectors_lib.opened(path, self._card.num_labels, self.dim)

  def _path_of_held(self, name: str) -> str:
    return f"/dev/fd/{self._held[name].fileno()}"

  @classmethod
  def open(cls, folder: str) -> Index:
    """Opens an index; of any size in the same time.

    Raises:
      ConfigError: there is none, or of another format.
      DataError: it is damaged.
    """
    card = card_lib.Card.read(folder)
    try:
      return cls(folder, card)
    except FileNotFoundError as error:
      newer = card_lib.Card.read(folder)
      if newer.generation != card.generation:
        return cls(folder, newer)  # It was replaced meanwhile.
      raise errors.DataError(
        f"{error.filename}: missing: build the index again"
      ) from error

  def __len__(self) -> int:
    return self.size

  def __repr__(self) -> str:
    return f"Index({self.folder!r}: {self.size:,} x {self.dim}, {self.kind})"

  @property
  def card(self) -> card_lib.Card:
    """Contents of `index.json`."""
    return self._card

  @property
  def size(self) -> int:
    """Recordings."""
    return self._card.size

  @property
  def dim(self) -> int:
    """Numbers of a vector."""
    return self._card.dim

  @property
  def kind(self) -> card_lib.Kind:
    """How nearest recordings are found."""
    return self._card.kind

  @property
  def fingerprint(self) -> str:
    """Of the model that made the vectors; empty where unknown."""
    return self._card.fingerprint

  @property
  def model(self) -> str:
    """Its directory when the index was built; it may be gone."""
    return self._card.model

  @functools.cached_property
  def label_names(self) -> label_names.LabelNames | None:
    """The model's words; None where it has none."""
    if not self._card.num_labels:
      return None
    path = self._card.path(self.folder, card_lib.LABELS)
    held = self._path_of_held(card_lib.LABELS)
    try:
      names = label_names.LabelNames.read(held)
    except errors.DataError as error:
      raise errors.DataError(str(error).replace(held, path)) from error
    if len(names.labels) != self._card.num_labels:
      raise errors.DataError(
        f"{path}: damaged: {len(names.labels)} labels, not"
        f" {self._card.num_labels}"
      )
    return names

  def nearest(
    self,
    queries: Array,
    k: int,
    *,
    leave_out: Sequence[int] | Array | None = None,
  ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The recordings nearest to each query, by cosine.

    Args:
      queries: float [n, dim], of any norm but 0.
      k: recordings of each, at least 1; no more than there are.
      leave_out: rows that are nobody's answer.

    Returns:
      float32 [n, k] cosines, falling, and int64 [n, k] rows, of equal ones the
      lower row first; -inf and -1 where there are fewer.

    Raises:
      ValueError: the queries have another shape or are not finite.
    """
    queries = np.asarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != self.dim:
      raise ValueError(f"queries {queries.shape}, not [n, {self.dim}]")
    if not np.isfinite(queries).all():
      raise ValueError("queries that are not finite")
    k = max(1, min(k, self.size))
    queries = np.ascontiguousarray(vectors_lib.unit(queries))
    left = np.unique(np.asarray([] if leave_out is None else leave_out, int))
    rows = self._finder.candidates(queries, k, left)
    return self._compared(queries, rows, k)

  @property
  def _finder(self) -> finders.Finder:
    with self._lock:  # A server's threads would read it several times.
      return self._read_finder

  @functools.cached_property
  def _read_finder(self) -> finders.Finder:
    if self.kind == "flat":
      return finders.Flat(self.vectors)
    path = self._card.path(self.folder, card_lib.FINDER)
    found = finders.read(self._path_of_held(card_lib.FINDER), path)
    if found.ntotal != self.size or found.d != self.dim:
      raise errors.DataError(f"{path}: damaged: of another index")
    finder = self._card.finder
    return finders.of(
      self.kind, found, int(finder["breadth"]), int(finder["factor"])
    )

  def _compared(
    self, queries: Array, rows: Array, k: int
  ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The k best of candidates: exact cosines, ties by row."""
    scores = np.empty(rows.shape, np.float32)
    step = max(1, _COMPARED // rows.shape[1])
    for start in range(0, len(rows), step):
      part = slice(start, start + step)
      near = self.vectors[np.maximum(rows[part], 0)]
      scores[part] = np.einsum("nkd,nd->nk", near, queries[part])
    scores[rows < 0] = -np.inf
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    best = np.take_along_axis(rows, order, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    return scores, best.astype(np.int64)
