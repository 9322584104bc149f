"""Last.fm-1K: 19 M plays of 992 users with their times.

Celma 2010, "Music Recommendation and Discovery" (non-commercial use). The
archive `lastfm-dataset-1K.tar.gz` (or what it unpacks to) holds
`userid-timestamp-artid-artname-traid-traname.tsv`: user, time, MusicBrainz id
of the artist, its name, MusicBrainz id of the recording, its name; between
tabs, without header or quoting. Its quirks: ids of MusicBrainz are often
missing, quotation marks are data, and a few rows (nine, readers in use skip)
have another number of fields; those rows are left out.

There is no audio: yours is found by the MusicBrainz id of the recording or,
where a row or a file has none, by artist and title as people write them.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from music_embed.core import errors
from music_embed.data.corpora import (
  audio_index,
  conversion,
  delimited,
  dumps,
  musicbrainz,
)

_LOG = "userid-timestamp-artid-artname-traid-traname.tsv"
_COLUMNS = ("user", "time", "artist_id", "artist", "track_id", "title")


def convert(*, source: str, audio: str, output: str) -> conversion.Summary:
  """Writes the recordings table and the listening log.

  Args:
    source: the archive, or a folder with it or its files.
    audio: folder of audio files named by MusicBrainz recording id or
      `Artist - Title`, or a table of them.
    output: directory to write.

  Returns:
    What was written.

  Raises:
    DataError: the log is missing or not of its format.
  """
  index = audio_index.open_audio(audio, musicbrainz.normalize_id)
  num_logs = 0
  with conversion.writing(output, index) as writer:
    texts = conversion.TextCollector(index)
    for name, file in dumps.members(source, _is_log):
      num_logs += 1
      _log(name, file, texts, writer)
    if not num_logs:
      raise errors.DataError(f"{source}: holds no {_LOG}")
    texts.write(writer)
  return conversion.finished(output, writer)


def _is_log(name: str) -> bool:
  return _LOG in name


def _log(
  name: str,
  file: IO[bytes],
  texts: conversion.TextCollector,
  writer: conversion.Conversion,
) -> None:
  for batch in delimited.read_batches(
    name,
    file,
    _COLUMNS,
    header=False,
    on_broken=writer.note_broken,
  ):
    positions = musicbrainz.positions(
      writer.audio, batch["track_id"], batch["artist"], batch["title"]
    )
    nothing = _empty(len(positions))
    texts.add(positions, (batch["title"], batch["artist"], nothing))
    writer.add_events(batch["user"], positions)


def _empty(length: int) -> Any:
  import pyarrow

  return pyarrow.array(np.full(length, b""), pyarrow.binary())
