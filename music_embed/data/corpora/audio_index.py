"""Which recordings of a corpus the user has as audio files."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.corpora import tables

EXTENSIONS = frozenset(
  (".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
)
"""Of the files in an audio folder that count."""

_OPTIONAL = ("recording_id", "title", "artist", "description")


@dataclasses.dataclass(frozen=True)
class Entry:
  """One audio file.

  Attributes:
    recording_id: the corpus's id; made of artist and title where there is
      none.
    audio: path, absolute.
    title: empty where unknown, as the following.
    artist: its name.
    description: free text.
  """

  recording_id: str
  audio: str
  title: str = ""
  artist: str = ""
  description: str = ""


@dataclasses.dataclass(frozen=True)
class AudioIndex:
  """Audio files by the ids and by the names of a corpus.

  Attributes:
    entries: the files, each id once, in the order of their paths or rows.
    num_duplicates: further files of an id, not used.
  """

  entries: tuple[Entry, ...]
  num_duplicates: int
  _ids: Any
  _by_id: dict[str, int]
  _by_name: dict[tuple[str, str], int]

  def get(self, recording_id: str) -> int | None:
    """Position of an id's entry."""
    return self._by_id.get(recording_id)

  def positions(self, ids: Any) -> npt.NDArray[np.int64]:
    """Positions of the entries of ids, -1 for those without.

    Args:
      ids: Arrow array [rows], binary.

    Returns:
      int64 [rows].
    """
    import pyarrow.compute

    found = pyarrow.compute.index_in(ids, value_set=self._ids)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)

  def positions_by_name(
    self, artists: Any, titles: Any
  ) -> npt.NDArray[np.int64]:
    """As `positions`, by artist and title as people write them.

    Args:
      artists: Arrow array [rows], binary.
      titles: likewise.

    Returns:
      int64 [rows].
    """
    import pyarrow.compute

    if not self._by_name:
      return np.full(len(artists), -1, np.int64)
    pairs = pyarrow.compute.binary_join_element_wise(artists, titles, b"\t")
    unique = pairs.fill_null(b"\t").dictionary_encode()
    found = [
      self._by_name.get(name_key(*_split(pair)), -1)
      for pair in unique.dictionary.to_pylist()
    ]
    codes = unique.indices.to_numpy(zero_copy_only=False)
    return np.array([*found, -1], np.int64)[codes]


def open_audio(
  audio: str, normalize_id: Callable[[str], str] = str
) -> AudioIndex:
  """Lists the audio that the user has.

  Args:
    audio: a folder, whose files are named by the corpus's ids (a file
      `Artist - Title.mp3` is found by its name as well), at any depth; or a
      table (csv, tsv, jsonl, parquet) with the column `audio` (relative to
      it), and `recording_id` or `artist` and `title`, and perhaps
      `description`.
    normalize_id: brings ids into one form, such as lower case.

  Returns:
    The index.

  Raises:
    DataError: no such folder or table, no audio in it, or a row without both
      id and name; names it.
  """
  rows = _folder(audio) if os.path.isdir(audio) else _table(audio)
  entries: list[Entry] = []
  by_id: dict[str, int] = {}
  by_name: dict[tuple[str, str], int] = {}
  num_duplicates = 0
  for row in rows:
    key = normalize_id(row.recording_id)
    if key in by_id:
      num_duplicates += 1
      continue
    by_id[key] = len(entries)
    if row.artist and row.title:
      by_name.setdefault(name_key(row.artist, row.title), len(entries))
    entries.append(dataclasses.replace(row, recording_id=key))
  if not entries:
    kinds = ", ".join(sorted(EXTENSIONS))
    raise errors.DataError(f"{audio}: holds no audio file ({kinds})")
  import pyarrow

  ids = pyarrow.array([key.encode() for key in by_id], pyarrow.binary())
  return AudioIndex(tuple(entries), num_duplicates, ids, by_id, by_name)


def name_key(artist: str, title: str) -> tuple[str, str]:
  """Artist and title without what people write differently.

  NFKC, case folded, letters and digits only; a name without any stays as it
  is.
  """
  return _plain(artist), _plain(title)


def _plain(text: str) -> str:
  folded = unicodedata.normalize("NFKC", text).casefold().strip()
  return "".join(filter(str.isalnum, folded)) or folded


def _split(pair: bytes) -> tuple[str, str]:
  artist, _, title = pair.decode("utf-8", "replace").partition("\t")
  return artist, title


def _folder(folder: str) -> Iterator[Entry]:
  root = os.path.realpath(folder)
  for where, folders, names in os.walk(root):
    folders.sort()
    for name in sorted(names):
      stem, extension = os.path.splitext(name)
      if extension.lower() in EXTENSIONS:
        artist, _, title = stem.partition(" - ")
        yield Entry(
          recording_id=stem,
          audio=os.path.join(where, name),
          title=title.strip(),
          artist=artist.strip() if title else "",
        )


def _table(path: str) -> Iterator[Entry]:
  root = os.path.dirname(os.path.realpath(path))
  for row in tables.read_rows(path, required=("audio",), optional=_OPTIONAL):
    values = row.values
    has_name = values.get("artist") and values.get("title")
    problem = row.problem
    if not problem and not values["audio"]:
      problem = "audio is empty"
    if not problem and not values.get("recording_id") and not has_name:
      problem = "neither recording_id nor artist and title are given"
    if problem:
      raise errors.DataError(f"{path}, row {row.number}: {problem}")
    if not values.get("recording_id"):
      values["recording_id"] = f"{values['artist']} - {values['title']}"
    values["audio"] = os.path.join(root, values["audio"])
    yield Entry(**values)
