"""What the map's page can ask, answered as plain values for JSON."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.records import label_names
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import playlist, search
from music_embed.retrieval import query as query_lib
from music_embed.serving import catalogue_map

MOST_ASKED = 200
"""Recordings that are told of at once."""

MOST_HITS = 500
MOST_OF_A_PLAYLIST = 1_000
_MOST_WORDS = 2_000


class NoSuchRecordingError(errors.DataError):
  """A row that the index does not have."""


class Explorer:
  """An index, its map and its words.

  Nothing that is asked here makes it read a file of the asker's choice:
  searches know words and recordings, not paths.
  """

  def __init__(
    self,
    index: index_lib.Index,
    laid_out: catalogue_map.CatalogueMap,
  ) -> None:
    """Reads nothing yet."""
    self.index = index
    self.map = laid_out
    self._searcher = search.Searcher(index, takes_paths=False)

  def catalogue(self, *, takes_sounds: bool) -> dict[str, Any]:
    """What the page begins with."""
    legend = self.map.legend
    names = self.index.label_names
    return {
      "size": self.index.size,
      "dim": self.index.dim,
      "fingerprint": self.index.fingerprint,
      "layout": self.map.kind,
      "has_words": names is not None,
      "takes_sounds": takes_sounds,
      "legend": [
        {"label": label, "count": count}
        for label, count in zip(legend.labels, legend.counts, strict=True)
      ],
      "words": [] if names is None else words(names),
    }

  def points(self) -> bytes:
    """Little-endian float32 x[size], float32 y[size], uint8 class[size]."""
    x, y = np.asarray(self.map.points, "<f4").T
    return x.tobytes() + y.tobytes() + self.map.legend.classes.tobytes()

  def recordings(self, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Facts of recordings, in the order asked for; None for unknown ones.

    Raises:
      NoSuchRecordingError: there is no such row.
    """
    catalogue = self.index.catalogue
    return [
      {
        "row": row,
        "id": catalogue.ids[row],
        "title": catalogue.titles[row] or None,
        "artist": catalogue.artists[row] or None,
        "duration_s": catalogue.durations_s[row] or None,
        "labels": [
          [label, round(float(score), 4)]
          for label, score in catalogue.labels(row)
        ],
        "audio": f"/audio/{row}" if self.audio_file(row) else None,
      }
      for row in map(self._checked, rows)
    ]

  def search(
    self, query: str, *, k: int, other_artists: bool
  ) -> dict[str, Any]:
    """Recordings for words, ids and mixes of them.

    Raises:
      ConfigError: the query names nothing that is known.
    """
    self._require_no_file(query)
    return _told(
      self._searcher.search(query, k=k, exclude_same_artist=other_artists)
    )

  def neighbors(
    self, row: int, *, k: int, other_artists: bool
  ) -> dict[str, Any]:
    """Recordings near one, which is not among them.

    Raises:
      NoSuchRecordingError: there is no such row.
    """
    row = self._checked(row)
    return _told(
      self._searcher.near(row, k=k, exclude_same_artist=other_artists)
    )

  def near_vector(
    self, vector: npt.NDArray[np.float32], *, name: str, k: int
  ) -> dict[str, Any]:
    """Recordings near a sound.

    Args:
      vector: float32 [dim].
      name: what the answer calls it.
      k: how many.
    """
    return _told(self._searcher.near_vector(vector, k=k, query=name))

  def path(self, start: int, end: int, *, length: int) -> list[int]:
    """Rows from one recording to another, both among them.

    Raises:
      NoSuchRecordingError: there is no such row.
    """
    start, end = self._checked(start), self._checked(end)
    return playlist.path(self.index, start, end, length=length)

  def playlist(self, rows: Sequence[int]) -> str:
    """Recordings as an extended M3U.

    Raises:
      NoSuchRecordingError: there is no such row.
    """
    checked = [self._checked(row) for row in rows]
    return playlist.m3u(playlist.entries(self.index, checked))

  def audio_file(self, row: int) -> str | None:
    """The file of a recording; None where it is not there any more.

    Raises:
      NoSuchRecordingError: there is no such row.
    """
    path = self.index.catalogue.audio[self._checked(row)]
    if not path:
      return None
    try:
      # A pipe of that name would keep its reader waiting.
      is_file = stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
      return None
    return path if is_file and os.access(path, os.R_OK) else None

  def _require_no_file(self, query: str) -> None:
    """Refuses paths alike, whether there is such a file or not."""
    try:
      parts = query_lib.understood(query, self.index)
    except errors.ConfigError:
      raise
    except errors.DataError:
      parts = []
    if not parts or any(part.kind == "file" for part in parts):
      raise errors.ConfigError(
        f"{query!r}: no word and no recording that is known here; to search by"
        " a file, drop it on the map"
      )

  def _checked(self, row: int) -> int:
    if not 0 <= row < self.index.size:
      raise NoSuchRecordingError(
        f"row {row}: there is no such recording (there are {self.index.size})"
      )
    return row


def words(names: label_names.LabelNames, most: int = _MOST_WORDS) -> list[str]:
  """Terms and senses by falling frequency, for suggestions.

  Args:
    names: of the model.
    most: words that are given.

  Returns:
    Terms, and of those with several labels each of these, too.
  """
  counts = np.asarray(names.counts, np.int64)
  of_terms = np.bincount(
    names.terms, weights=counts, minlength=len(names.term_names)
  )
  weighed = dict(zip(names.term_names, of_terms.tolist(), strict=True))
  for label, count in zip(names.labels, counts.tolist(), strict=True):
    weighed.setdefault(label, count)
  # Sorting is stable: where counts are unknown, in the model's order.
  return sorted(weighed, key=lambda word: -weighed[word])[:most]


def _told(answer: search.Answer) -> dict[str, Any]:
  return {
    "query": answer.query,
    "understood": [
      {
        "text": part.text,
        "kind": part.kind,
        "sign": part.sign,
        "labels": list(part.labels),
      }
      for part in answer.understood
    ],
    "hits": [
      {"row": hit.row, "score": round(hit.score, 6), "via": hit.via or None}
      for hit in answer.hits
    ],
  }
