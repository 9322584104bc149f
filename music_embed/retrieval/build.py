"""Builds an index, and adds to one: new files first, `index.json` last."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.records import label_names
from music_embed.retrieval import approximate, contents, finder_build
from music_embed.retrieval import card as card_lib
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import vectors as vectors_lib

Array = npt.NDArray[Any]

Mode = Literal["new", "add", "overwrite"]


@dataclasses.dataclass(frozen=True)
class Words:
  """The words of a model.

  Attributes:
    names: of the labels.
    vectors: float32 [labels, dim], unit norm.
  """

  names: label_names.LabelNames
  vectors: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Source:
  """Recordings to index.

  Attributes:
    batches: gives them, each time it is called.
    dim: numbers of a vector.
    fingerprint: of the model that made the vectors; empty where unknown.
    model: its directory; empty where unknown.
    words: of the model; None where it has none, or is unknown.
  """

  batches: contents.Batches
  dim: int
  fingerprint: str = ""
  model: str = ""
  words: Words | None = None


@dataclasses.dataclass(frozen=True)
class Built:
  """What `build` did.

  Attributes:
    card: of the index.
    written: what became of the recordings.
    is_new: whether anything is other than before.
  """

  card: card_lib.Card
  written: contents.Written
  is_new: bool


def build(
  folder: str,
  source: Source,
  *,
  kind: finder_build.WantedKind = "auto",
  mode: Mode = "new",
) -> Built:
  """Builds an index of recordings, or adds them to one.

  The same recordings give the same bytes; a build that was killed is begun
  again. Nothing of an older index is lost before the new one is whole.

  Args:
    folder: where the index lies.
    source: the recordings.
    kind: how nearest recordings are found; "auto" compares with all of
      `finder_build.FLAT_UP_TO` recordings, with a part of more.
    mode: "new" refuses an index of other recordings that is there, "add"
      adds to it, "overwrite" replaces it.

  Returns:
    What was done.

  Raises:
    ConfigError: there is another index already, or it is another model's.
    DataError: the recordings are damaged, or another process writes here.
  """
  files.make_dirs(folder)
  lock = files.join(folder, card_lib.LOCK_FILE)
  with files.exclusive(lock, folder):
    older = _older(folder)
    if older is not None and mode == "add":
      _require_same_model(older, source)
    keep = None if older is None else older.card.generation
    files.remove_leftovers(folder)
    card_lib.remove_other_generations(folder, keep)
    try:
      built = _Generation(folder, source, kind, mode, older).write()
      keep = built.card.generation
    finally:
      card_lib.remove_other_generations(folder, keep)
  return built


def _older(folder: str) -> index_lib.Index | None:
  if not os.path.exists(files.join(folder, card_lib.FILE_NAME)):
    return None
  return index_lib.Index.open(folder)


def _require_same_model(older: index_lib.Index, source: Source) -> None:
  if source.dim != older.dim:
    raise errors.ConfigError(
      f"{older.folder}: an index of {older.dim} numbers a vector; these have"
      f" {source.dim}"
    )
  if source.fingerprint == older.fingerprint:
    return
  if not source.fingerprint:
    raise errors.ConfigError(
      f"{older.folder}: the model of these vectors is not known: name it with"
      " --model, if it is the index's"
    )
  known = older.fingerprint[:12] or "unknown"
  raise errors.ConfigError(
    f"{older.folder}: an index of another model's vectors (fingerprint {known},"
    f" not {source.fingerprint[:12]}): embed with that model, or build another"
    " index"
  )


class _Generation:
  """One way from an older index, or none, to a new one."""

  def __init__(
    self,
    folder: str,
    source: Source,
    kind: finder_build.WantedKind,
    mode: Mode,
    older: index_lib.Index | None,
  ) -> None:
    self._folder = folder
    self._source = source
    self._kind = kind
    self._mode = mode
    self._older = older
    self._number = 1 if older is None else older.card.generation + 1
    self._stored: dict[str, card_lib.Stored] = {}

  def _path(self, name: str) -> str:
    named = card_lib.generation_name(name, self._number)
    return files.join(self._folder, named)

  def _store(self, name: str) -> None:
    self._stored[name] = card_lib.Stored.of(self._path(name))

  def write(self) -> Built:
    """Writes all files, `index.json` last."""
    adds = self._older if self._mode == "add" else None
    written = self._write_contents(adds)
    words = self._write_words(adds)
    if self._older is not None and self._is_same(self._older):
      return Built(self._older.card, written, is_new=False)
    if self._older is not None and self._mode == "new":
      raise errors.ConfigError(
        f"{self._folder}: holds an index of other recordings: --add adds to"
        " it, --overwrite replaces it"
      )
    card = self._card(written, words, adds)
    card.write(self._folder)
    return Built(card, written, is_new=True)

  def _write_contents(self, adds: index_lib.Index | None) -> contents.Written:
    older = None
    if adds is not None:
      older = contents.Older(adds.vectors, adds.catalogue)
    written = contents.write(
      self._path(card_lib.VECTORS),
      self._path(card_lib.CATALOGUE),
      self._source.batches,
      dim=self._source.dim,
      older=older,
    )
    self._store(card_lib.VECTORS)
    self._store(card_lib.CATALOGUE)
    return written

  def _write_words(self, adds: index_lib.Index | None) -> Words | None:
    words = self._source.words
    if words is None and adds is not None:
      names, vectors = adds.label_names, adds.label_vectors
      if names is not None and vectors is not None:
        words = Words(names, vectors)
    if words is None or not len(words.vectors):
      return None
    words.names.write(self._path(card_lib.LABELS))
    path = self._path(card_lib.LABEL_VECTORS)
    with vectors_lib.writing(path, self._source.dim) as matrix:
      matrix.append(words.vectors)
    self._store(card_lib.LABELS)
    self._store(card_lib.LABEL_VECTORS)
    return words

  def _is_same(self, older: index_lib.Index) -> bool:
    """Whether the older index is what would be built, but for its finder."""
    before = {name: s.sha256 for name, s in older.card.stored.items()}
    before.pop(card_lib.FINDER, None)
    now = {name: s.sha256 for name, s in self._stored.items()}
    kind = finder_build.kind_for(self._kind, older.size, older.kind)
    return (
      before == now
      and kind == older.kind
      and older.fingerprint == self._source.fingerprint
    )

  def _card(
    self,
    written: contents.Written,
    words: Words | None,
    adds: index_lib.Index | None,
  ) -> card_lib.Card:
    before = None if adds is None else _older_finder(adds, written)
    kind = finder_build.kind_for(
      self._kind, written.size, None if before is None else before.kind
    )
    finder: dict[str, Any] = {}
    if kind != "flat":
      try:
        finder = self._write_finder(kind, written.size, words, before)
      except approximate.TooInexactError:
        if self._kind != "auto":
          raise
        kind = "flat"
    return card_lib.Card(
      kind=kind,
      size=written.size,
      dim=self._source.dim,
      num_labels=0 if words is None else len(words.vectors),
      fingerprint=self._source.fingerprint,
      model=self._source.model or (adds.model if adds else ""),
      generation=self._number,
      stored=dict(self._stored),
      finder=finder,
    )

  def _write_finder(
    self,
    kind: card_lib.Kind,
    size: int,
    words: Words | None,
    older: finder_build.Older | None,
  ) -> dict[str, Any]:
    path = self._path(card_lib.VECTORS)
    finder = finder_build.write(
      self._path(card_lib.FINDER),
      kind,
      vectors_lib.opened(path, size, self._source.dim),
      None if words is None else words.vectors,
      older=older,
    )
    self._store(card_lib.FINDER)
    return finder


def _older_finder(
  older: index_lib.Index, written: contents.Written
) -> finder_build.Older:
  card = older.card
  path = None
  if card_lib.FINDER in card.stored:
    path = card.path(older.folder, card_lib.FINDER)
  return finder_build.Older(
    kind=card.kind,
    finder=card.finder,
    path=path,
    size=card.size,
    changed=written.changed,
  )
