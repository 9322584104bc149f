"""FMA: 106,574 tracks of the Free Music Archive, with audio.

Defferrard et al. 2017, "FMA: A dataset for music analysis" (metadata CC BY
4.0, audio by its artists' licences). Published files:

- `fma_metadata.zip` (or what it unpacks to): `tracks.csv` with *three* rows of
  header (group, column, and `track_id` alone), quoted fields with line ends,
  and Python lists of genres and tags; `genres.csv` with the genres' titles.
- audio: `fma_{small,medium,large,full}.zip`, unpacked:
  `<first three digits>/<track_id as six digits>.mp3`. Tracks of which you have
  no audio are left out, so any of the four sets will do.

In the sets of 30-second clips some clips are empty, because they were cut
beyond the end of the track (99134, 108925 and 133297 in the small set; issues
8, 41 and 44 of mdeff/fma): files too short to hold sound are left out.

The archive publishes how often a track was played, not by whom. In place of
listeners stand artists (or albums), who "listen" to their own tracks: a graph
of who made what, from which a network learns artists, not taste. Prepare it
with `tau` 1 (`gin/datasets/fma.gin`).
"""

from __future__ import annotations

import ast
import csv
import html
import io
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from music_embed.core import errors
from music_embed.data.corpora import audio_index, conversion, dumps

LISTENERS = ("artist", "album")
"""Who stands in the place of listeners."""

_MIN_AUDIO_BYTES = 4096
_MAX_FIELD_CHARACTERS = 1 << 24
_MARKUP = re.compile(r"<[^>]*>")
_NEEDED = (("artist", "id"), ("artist", "name"), ("album", "id"))
_TITLE = ("track", "title")
_TAGS = (("track", "tags"), ("album", "tags"), ("artist", "tags"))
_TEXTS = (("album", "title"), ("track", "information"))

Row = dict[tuple[str, str], str]


def convert(
  *, source: str, audio: str, output: str, listeners: str = "artist"
) -> conversion.Summary:
  """Writes the recordings table and a log of who made what.

  Args:
    source: folder of `fma_metadata`, or its .zip.
    audio: folder of one of the audio sets, or a table.
    output: directory to write.
    listeners: "artist" or "album".

  Returns:
    What was written.

  Raises:
    DataError: a file is missing or not of its format.
    ConfigError: no such listeners.
  """
  if listeners not in LISTENERS:
    raise errors.ConfigError(
      f"listeners is {listeners!r}; it must be one of {', '.join(LISTENERS)}"
    )
  index = audio_index.open_audio(audio, _track_id)
  with conversion.writing(output, index) as writer:
    genres = _genres(source)
    _tracks(source, genres, listeners, writer)
  return conversion.finished(output, writer)


def _track_id(name: str) -> str:
  """ "2" and "000002" are one track."""
  return str(int(name)) if name.isdecimal() else name


def _rows(source: str, wanted: str) -> Iterator[tuple[int, list[str]]]:
  """Line and fields of the rows of a table of the metadata."""
  csv.field_size_limit(_MAX_FIELD_CHARACTERS)
  found = False
  for name, file in dumps.members(
    source, lambda name: os.path.basename(name) == wanted
  ):
    found = True
    text = io.TextIOWrapper(
      file, encoding="utf-8-sig", errors="replace", newline=""
    )
    rows = csv.reader(text)
    try:
      for row in rows:
        yield rows.line_num, row
    except csv.Error as error:
      raise errors.DataError(
        f"{name}, line {rows.line_num}: {error}"
      ) from error
    break
  if not found:
    raise errors.DataError(
      f"{source}: holds no {wanted}; is it fma_metadata or its .zip?"
    )


def _genres(source: str) -> dict[int, str]:
  rows = (row for _, row in _rows(source, "genres.csv"))
  header = next(rows, [])
  if not {"genre_id", "title"} <= set(header):
    raise errors.DataError(f"{source}: genres.csv has no genre_id and title")
  number, title = header.index("genre_id"), header.index("title")
  return {int(row[number]): row[title] for row in rows if row[number].isdigit()}


def _tracks(
  source: str,
  genres: dict[int, str],
  listeners: str,
  writer: conversion.Conversion,
) -> None:
  rows = _rows(source, "tracks.csv")
  groups = next(rows, (0, [""]))[1]
  names = next(rows, (0, [""]))[1]
  header = list(zip(groups, names, strict=False))
  missing = [name for name in (*_NEEDED, _TITLE) if name not in header]
  if missing:
    raise errors.DataError(
      f"{source}: tracks.csv has no column"
      f" {', '.join(' '.join(name) for name in missing)} under its header of"
      " three rows"
    )
  batch: list[tuple[str, int]] = []
  for line, fields in rows:
    if fields and fields[0] == "track_id":
      continue
    writer.counts["tracks"] += 1
    position = writer.audio.get(_track_id(fields[0])) if fields else None
    if len(fields) != len(header):
      writer.note_broken("tracks.csv", line, f"{len(fields)} fields")
    elif position is None:
      writer.counts["tracks_without_audio"] += 1
    elif _is_empty(writer.audio.entries[position].audio):
      writer.counts["tracks_of_an_empty_clip"] += 1
    else:
      row = dict(zip(header, fields, strict=True))
      writer.add_recording(
        position,
        title=row[_TITLE],
        artist=row[("artist", "name")],
        description="\n".join(_words(row, genres)),
      )
      # A track outside an album has the album -1, or none.
      if row[(listeners, "id")].isdecimal():
        batch.append((f"{listeners} {row[(listeners, 'id')]}", position))
  _log(batch, writer)


def _log(batch: list[tuple[str, int]], writer: conversion.Conversion) -> None:
  import pyarrow

  users = pyarrow.array([user.encode() for user, _ in batch], "binary")
  places = np.array([position for _, position in batch], np.int64)
  writer.add_events(users, places)


def _is_empty(path: str) -> bool:
  try:
    return os.path.getsize(path) < _MIN_AUDIO_BYTES
  except OSError:
    return True


def _words(row: Row, genres: dict[int, str]) -> Iterator[str]:
  for number in _list(row.get(("track", "genres_all"), "")):
    if number in genres:
      yield genres[number]
  for column in _TAGS:
    yield from map(str, _list(row.get(column, "")))
  for column in _TEXTS:
    yield html.unescape(_MARKUP.sub(" ", row.get(column, "")))


def _list(text: str) -> list[Any]:
  try:
    value = ast.literal_eval(text) if text else []
  except (ValueError, SyntaxError):
    return []
  return value if isinstance(value, list) else []
