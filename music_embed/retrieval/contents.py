"""Writes the vectors and the catalogue of an index."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors
from music_embed.retrieval import catalogue as catalogue_lib
from music_embed.retrieval import vectors as vectors_lib
from music_embed.retrieval.entries import Entries

Array = npt.NDArray[Any]
Batches = Callable[[], Iterable[Entries]]

_BLOCK = 1 << 14


@dataclasses.dataclass(frozen=True)
class Older:
  """Recordings that come first.

  Attributes:
    vectors: float32 [size, dim], unit norm.
    catalogue: of as many.
  """

  vectors: Array
  catalogue: catalogue_lib.Catalogue

  def take(self, rows: Array) -> Entries:
    """Some of them."""
    fields = self.catalogue.fields(rows)
    return Entries(vectors=np.asarray(self.vectors[rows]), **fields)


@dataclasses.dataclass(frozen=True)
class Written:
  """What became of the recordings that were given.

  Attributes:
    size: recordings now.
    added: how many were not there.
    changed: int64 [rows], rising, that were there, with another vector.
    described: how many were there with this vector, otherwise described.
    same: how many were there, just so.
  """

  size: int
  added: int
  changed: npt.NDArray[np.int64]
  described: int
  same: int


def write(
  vectors_path: str,
  catalogue_path: str,
  batches: Batches,
  *,
  dim: int,
  older: Older | None = None,
) -> Written:
  """Writes both files.

  Args:
    vectors_path: of the matrix.
    catalogue_path: of the catalogue.
    batches: the recordings, each time it is called.
    dim: numbers of a vector.
    older: recordings that come first; one that is given again under its id
      keeps its place, with what is given.

  Returns:
    What was written.

  Raises:
    DataError: an id is given twice, a vector is not finite, or there is no
      recording at all.
  """
  merge = _Merge(older)
  with tqdm.tqdm(unit=" recordings", desc="reading") as bar:
    for some in batches():
      merge.look_at(some, dim)
      bar.update(len(some))
  if not merge.size:
    raise errors.DataError("there is no recording to index")
  with (
    vectors_lib.writing(vectors_path, dim) as matrix,
    catalogue_lib.writing(catalogue_path) as catalogue,
    tqdm.tqdm(total=merge.size, unit=" recordings", desc="copying") as bar,
  ):
    for block in _blocks(itertools.chain(merge.kept(), merge.new(batches()))):
      matrix.append(block.vectors)
      catalogue.append(block)
      bar.update(len(block))
  return merge.written()


class _Merge:
  """Finds out which recordings are new, and which are others now."""

  def __init__(self, older: Older | None) -> None:
    self._older = older
    self._first = 0 if older is None else len(older.catalogue)
    self._rows: dict[str, int] = {}
    if older is not None:
      self._rows = {name: row for row, name in enumerate(older.catalogue.ids)}
    self._given: set[int] = set()  # Older rows that are given again.
    self._replaced: dict[int, Entries] = {}
    self._changed: list[int] = []
    self.size = self._first

  def look_at(self, some: Entries, dim: int) -> None:
    """Takes note of a batch."""
    _require_vectors(some, dim)
    again: list[tuple[int, int]] = []
    for place, name in enumerate(some.ids):
      row = self._rows.setdefault(name, self.size)
      if row == self.size:
        self.size += 1
      elif row >= self._first or row in self._given:
        raise errors.DataError(f"id {name!r}: is given twice")
      else:
        self._given.add(row)
        again.append((place, row))
    if again:
      self._compare(some, again)

  def _compare(self, some: Entries, again: list[tuple[int, int]]) -> None:
    assert self._older is not None
    places, rows = (list(column) for column in zip(*again, strict=True))
    before = self._older.take(np.array(rows))
    now = _unit(some.take(places))
    same_vector = (now.vectors == before.vectors).all(axis=1)
    for place, row in enumerate(rows):
      if not same_vector[place]:
        self._changed.append(row)
      elif now.described(place) == before.described(place):
        continue
      self._replaced[row] = now.take([place])

  def kept(self) -> Iterator[Entries]:
    """Older recordings, with what replaces some of them."""
    if self._older is None:
      return
    replaced = sorted(self._replaced)
    start = 0
    for row in [*replaced, self._first]:
      for begin in range(start, row, _BLOCK):
        yield self._older.take(np.arange(begin, min(begin + _BLOCK, row)))
      if row < self._first:
        yield self._replaced[row]
      start = row + 1

  def new(self, batches: Iterable[Entries]) -> Iterator[Entries]:
    """Recordings that were not there, in the order given."""
    row = self._first
    for some in batches:
      places = [
        place
        for place, name in enumerate(some.ids)
        if self._rows[name] >= self._first
      ]
      row += len(places)
      if places:
        yield _unit(some.take(places))
    if row != self.size:
      raise errors.DataError("the recordings changed while they were read")

  def written(self) -> Written:
    """What `look_at` found."""
    return Written(
      size=self.size,
      added=self.size - self._first,
      changed=np.array(sorted(self._changed), np.int64),
      described=len(self._replaced) - len(self._changed),
      same=len(self._given) - len(self._replaced),
    )


def _unit(some: Entries) -> Entries:
  """As they are stored; to be done once, since rounding is not idempotent."""
  return dataclasses.replace(some, vectors=vectors_lib.unit(some.vectors))


def _require_vectors(some: Entries, dim: int) -> None:
  if some.vectors.shape != (len(some), dim):
    raise errors.DataError(
      f"vectors {list(some.vectors.shape)} of {len(some)} recordings; want"
      f" {dim} numbers each"
    )
  wrong = np.flatnonzero(~np.isfinite(some.vectors).all(axis=1))
  if len(wrong):
    name = some.ids[int(wrong[0])]
    raise errors.DataError(f"id {name!r}: its vector is not finite")


def _blocks(batches: Iterable[Entries]) -> Iterator[Entries]:
  """The same recordings in larger pieces."""
  waiting: list[Entries] = []
  for some in batches:
    waiting.append(some)
    if sum(map(len, waiting)) >= _BLOCK:
      yield Entries.joined(waiting)
      waiting = []
  if waiting:
    yield Entries.joined(waiting)
