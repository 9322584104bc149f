"""Answers queries: words, senses, recordings, sounds and mixes of them.

A part of a query scores a recording by its cosine: with a recording's vector,
or with the vector of a label (a row of the label head). A term with several
senses scores by the best of them. A mix scores by the mean of its parts'
scores, those of parts that are not wanted taken negative.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.retrieval import directions
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import query as query_lib
from music_embed.retrieval import vectors as vectors_lib

Array = npt.NDArray[Any]

_MOST_MIXES = 64
"""Combinations of senses that are looked up one by one."""
_BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Understood:
  """What a part of a query was taken for.

  Attributes:
    text: as asked.
    kind: "term", "label", "recording" or "file".
    sign: 1, or -1 for what is not wanted.
    labels: of a term its frequent senses, the first one first; of a label
      itself.
    name: as the model or the index spells it; a file's path.
  """

  text: str
  kind: query_lib.Kind
  sign: Literal[1, -1]
  labels: list[str]
  name: str


@dataclasses.dataclass(frozen=True)
class Hit:
  """A recording that answers a query.

  Attributes:
    row: in the index.
    id: of the recording.
    score: -1 to 1: a cosine, of a mix the mean of signed cosines.
    via: the sense by which it scores, of each wanted term that has several;
      joined by " + ", empty where there is none.
  """

  row: int
  id: str
  score: float
  via: str


@dataclasses.dataclass(frozen=True)
class Answer:
  """The best recordings for a query.

  Attributes:
    query: as asked.
    understood: its parts.
    hits: by falling score.
  """

  query: str
  understood: list[Understood]
  hits: list[Hit]

  def to_json(self) -> dict[str, Any]:
    """As a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)


class Searcher:
  """Searches an index."""

  def __init__(
    self,
    index: index_lib.Index,
    embed_file: Callable[[str], Array] | None = None,
    *,
    takes_paths: bool = True,
  ) -> None:
    """Nothing is loaded yet.

    Args:
      index: to search.
      embed_file: gives an audio file's embedding, float [dim], with the model
        that the index was built with; None where there is none to be had.
      takes_paths: whether queries may name files; not where they come from
        others, who need not know which files there are.
    """
    self.index = index
    self._embed_file = embed_file
    self._takes_paths = takes_paths

  def search(
    self,
    query: str,
    *,
    k: int = 10,
    exclude_same_artist: bool = False,
    min_score: float | None = None,
  ) -> Answer:
    """Answers a query.

    Args:
      query: see `query`.
      k: recordings wanted.
      exclude_same_artist: leave out recordings by the artists of recordings
        that are asked for.
      min_score: of a recording.

    Returns:
      The best recordings, but for those that were asked for.

    Raises:
      ConfigError: the query cannot be understood, or names a file and there is
        no model to embed it with.
      DataError: a file that it names is missing or damaged.
    """
    parts = query_lib.understood(
      query, self.index, takes_paths=self._takes_paths
    )
    rows = [part.row for part in parts if part.row is not None]
    hits = self._hits(
      [self._directions(part) for part in parts],
      k=k,
      leave_out=self._left_out(rows, exclude_same_artist),
      min_score=min_score,
    )
    return Answer(query, [self._told(part) for part in parts], hits)

  def near(
    self, row: int, *, k: int = 10, exclude_same_artist: bool = False
  ) -> Answer:
    """Recordings like one of the index, without that one."""
    name = self.index.catalogue.ids[row]
    vector = vectors_lib.unit(self.index.vectors[row : row + 1])
    hits = self._hits(
      [directions.Directions(1, vector, [])],
      k=k,
      leave_out=self._left_out([row], exclude_same_artist),
    )
    told = Understood(name, "recording", 1, [], name)
    return Answer(name, [told], hits)

  def near_vector(
    self,
    vector: Array,
    *,
    k: int = 10,
    query: str = "",
    min_score: float | None = None,
  ) -> Answer:
    """Recordings like one whose embedding is given.

    Args:
      vector: float [dim], of the index's model, of any norm but 0.
      k: recordings wanted.
      query: what the vector is of, for the answer.
      min_score: of a recording.
    """
    hits = self._hits(
      [directions.Directions(1, self._unit(vector, query), [])],
      k=k,
      min_score=min_score,
    )
    return Answer(query, [Understood(query, "file", 1, [], query)], hits)

  def _directions(self, part: query_lib.Part) -> directions.Directions:
    if part.row is not None:
      vector = self.index.vectors[part.row : part.row + 1]
      return directions.Directions(part.sign, np.asarray(vector), [])
    if part.kind == "file":
      return directions.Directions(part.sign, self._of_file(part.name), [])
    vectors = self.index.label_vectors
    assert vectors is not None
    several = self._label_names(part) if len(part.labels) > 1 else []
    return directions.Directions(part.sign, vectors[list(part.labels)], several)

  def _of_file(self, path: str) -> npt.NDArray[np.float32]:
    if self._embed_file is None:
      raise errors.ConfigError(
        f"{path}: to search by a sound, the model that the index was built with"
        " is needed: name it with --model"
      )
    return self._unit(self._embed_file(path), path)

  def _unit(self, vector: Array, name: str) -> npt.NDArray[np.float32]:
    if vector.shape != (self.index.dim,):
      raise errors.ConfigError(
        f"{name}: a vector {list(vector.shape)}; the index has"
        f" {self.index.dim} numbers a vector"
      )
    return vectors_lib.unit(vector[None])

  def _label_names(self, part: query_lib.Part) -> list[str]:
    names = self.index.label_names
    return [] if names is None else [names.labels[i] for i in part.labels]

  def _told(self, part: query_lib.Part) -> Understood:
    return Understood(
      part.text, part.kind, part.sign, self._label_names(part), part.name
    )

  def _left_out(
    self, rows: Sequence[int], exclude_same_artist: bool
  ) -> npt.NDArray[np.int64]:
    if not exclude_same_artist:
      return np.unique(np.array(rows, np.int64))
    others = [self.index.catalogue.rows_of_artist(row) for row in rows]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *others]))

  def _hits(
    self,
    parts: Sequence[directions.Directions],
    *,
    k: int,
    leave_out: Array | None = None,
    min_score: float | None = None,
  ) -> list[Hit]:
    left = np.zeros(0, np.int64) if leave_out is None else leave_out
    rows = self._candidates(parts, k, left)
    vectors = self.index.vectors[rows]
    scores = directions.scores(parts, vectors)
    order = np.lexsort((rows, -scores))[:k]
    if min_score is not None:
      order = order[scores[order] >= min_score]
    vias = directions.vias(parts, vectors[order])
    return [
      Hit(int(row), self.index.catalogue.ids[int(row)], float(score), via)
      for row, score, via in zip(rows[order], scores[order], vias, strict=True)
    ]

  def _candidates(
    self, parts: Sequence[directions.Directions], k: int, leave_out: Array
  ) -> npt.NDArray[np.int64]:
    """Rows that the best are among, each once."""
    unwanted_senses = any(
      part.sign < 0 and len(part.vectors) > 1 for part in parts
    )
    mixes = math.prod(len(part.vectors) for part in parts)
    if unwanted_senses or mixes > _MOST_MIXES:
      return self._compared(parts, k, leave_out)
    # The best of a term's senses is the best mix with one of them.
    queries = np.stack(
      [
        sum(part.sign * v for part, v in zip(parts, chosen, strict=True))
        for chosen in itertools.product(*(part.vectors for part in parts))
      ]
    )
    _, rows = self.index.nearest(queries, k, leave_out=leave_out)
    found: npt.NDArray[np.int64] = np.unique(rows[rows >= 0])
    return found

  def _compared(
    self, parts: Sequence[directions.Directions], k: int, leave_out: Array
  ) -> npt.NDArray[np.int64]:
    """The best rows, all having been looked at."""
    best = np.zeros(0, np.int64)
    for start in range(0, self.index.size, _BLOCK):
      end = min(start + _BLOCK, self.index.size)
      rows = np.setdiff1d(np.arange(start, end), leave_out)
      rows = np.concatenate([best, rows])
      scores = directions.scores(parts, self.index.vectors[rows])
      best = rows[np.lexsort((rows, -scores))[:k]]
    return best
