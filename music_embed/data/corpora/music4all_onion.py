"""Music4All-Onion: 109,269 songs, tags, and listening of 119,140 users.

Audio, titles, genres and tags are those of Music4All (Santana et al. 2020,
"Music4All: A new music database and its applications", on request from its
authors); the listening is Onion's (Moscati et al. 2022, "Music4All-Onion: A
large-scale multi-faceted content-centric music recommendation dataset",
Zenodo 6609677 and 15394646). Their files, all tab-separated with a header:

- `id_information.csv`: id, artist, song, album_name.
- `id_genres.csv`, `id_tags.csv`: id, and words between commas. Where
  `id_tags.csv` is missing, Onion's `id_tags_dict.tsv.bz2`: id, and a Python
  dictionary of tags and weights.
- `userid_trackid_count.tsv.bz2`: user_id, track_id, count (50 M rows), or
  `userid_trackid_timestamp.tsv.bz2`: user_id, track_id, timestamp (253 M).
  Without them Music4All's own `listening_history.csv`: user, song, timestamp.
- audio: `audios/<id>.mp3`, 30 seconds each.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator

from music_embed.core import errors
from music_embed.data.corpora import (
  audio_index,
  conversion,
  delimited,
  dumps,
)

_COUNTS = "userid_trackid_count.tsv"
_EVENTS = "userid_trackid_timestamp.tsv"
_HISTORY = "listening_history.csv"
_LOG_COLUMNS = {
  _COUNTS: ("user_id", "track_id", "count"),
  _EVENTS: ("user_id", "track_id"),
  _HISTORY: ("user", "song"),
}


def convert(*, source: str, audio: str, output: str) -> conversion.Summary:
  """Writes the recordings table and the listening log.

  Args:
    source: folder with the files above, as published.
    audio: folder of audio files named by song id, or a table of them.
    output: directory to write.

  Returns:
    What was written.

  Raises:
    DataError: a file is missing or not of its format.
  """
  information = dumps.require(source, "id_information.csv")
  log = dumps.require(source, *_LOG_COLUMNS)
  index = audio_index.open_audio(audio)
  with conversion.writing(output, index) as writer:
    _recordings(source, information, writer)
    _log(log, writer)
  return conversion.finished(output, writer)


def _recordings(
  source: str, information: str, writer: conversion.Conversion
) -> None:
  genres = _words(source, writer, "id_genres.csv")
  tags = _words(source, writer, "id_tags.csv", "id_tags_dict.tsv")
  seen: set[int] = set()
  for values in _rows(information, ("id", "artist", "song"), writer):
    position = writer.audio.get(values["id"])
    writer.counts["songs"] += 1
    if position is None:
      writer.counts["songs_without_audio"] += 1
    elif position not in seen:
      seen.add(position)
      words = genres.get(values["id"], []) + tags.get(values["id"], [])
      writer.add_recording(
        position,
        title=values["song"],
        artist=values["artist"],
        description="\n".join((values.get("album_name", ""), *words)),
      )


def _words(
  source: str, writer: conversion.Conversion, *names: str
) -> dict[str, list[str]]:
  path = dumps.find(source, *names)
  if path is None:
    writer.counts[f"missing_{names[0]}"] = 1
    return {}
  words: dict[str, list[str]] = {}
  for key, text in _pairs(path):
    if writer.audio.get(key) is not None:
      words[key] = _split(text)
  return words


def _pairs(path: str) -> Iterator[tuple[str, str]]:
  with dumps.open_text(path) as file:
    rows = csv.reader(file, delimiter="\t")
    next(rows, None)
    for row in rows:
      if len(row) == 2:
        yield row[0], row[1]


def _split(text: str) -> list[str]:
  if not text.startswith("{"):
    return [word.strip() for word in text.split(",") if word.strip()]
  try:
    weights = ast.literal_eval(text)
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
  except (ValueError, SyntaxError, TypeError):
    return []
  return [str(word) for word, _ in ranked]


def _rows(
  path: str, required: tuple[str, ...], writer: conversion.Conversion
) -> Iterator[dict[str, str]]:
  with dumps.open_text(path) as file:
    rows = csv.reader(file, delimiter="\t")
    header = next(rows, [])
    missing = [name for name in required if name not in header]
    if missing:
      raise errors.DataError(
        f"{path}: no column {', '.join(missing)}; its columns are"
        f" {', '.join(header)}"
      )
    for row in rows:
      if len(row) == len(header):
        yield dict(zip(header, row, strict=True))
      else:
        writer.counts["songs_broken"] += 1


def _log(path: str, writer: conversion.Conversion) -> None:
  columns = next(
    columns for name, columns in _LOG_COLUMNS.items() if name in path
  )
  with dumps.open_binary(path) as file:
    for batch in delimited.read_batches(
      path,
      file,
      columns,
      header=True,
      on_broken=writer.note_broken,
    ):
      user, song, *counts = (batch[column] for column in columns)
      writer.add_events(user, writer.audio.positions(song), *counts)
