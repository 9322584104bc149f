"""The Million Song Dataset with the Echo Nest Taste Profile.

A million tracks (Bertin-Mahieux et al. 2011, "The Million Song Dataset") and
48 M plays of 1 M users (McFee et al. 2012, "The million song dataset
challenge"; non-commercial use). Published files:

- `unique_tracks.txt`: track<SEP>song<SEP>artist<SEP>title, UTF-8, no header.
- `train_triplets.txt` (also in a .zip): user, song, plays, between tabs, no
  header. Users listen to *songs*; a song has one or more *tracks*, and audio
  is of tracks: the first track with audio stands for its song.
- `sid_mismatches.txt`: `ERROR: <song track> artist - title  !=  artist -
  title`, 19,094 pairs of a song and a track that is another recording. Such a
  pair is not used. `sid_matches_manually_accepted.txt` (lines that begin
  with `< ERROR: <song track>`) takes some back.
- `lastfm_tags.db` (optional): SQLite, tables tids, tags and tid_tag, joined
  by ROWID; its tags, most used first, are the descriptions.
- audio: files named by track id at any depth (`A/B/C/TRABC....mp3`), or a
  table for other names, such as those of 7digital's clips.
"""

from __future__ import annotations

import collections
import contextlib
import re
import sqlite3
from collections.abc import Iterator

import numpy as np

from music_embed.core import errors
from music_embed.data.corpora import (
  audio_index,
  conversion,
  delimited,
  dumps,
)

_PAIR = re.compile(r"ERROR: <(SO\w{16}) (TR\w{16})>")
_SEPARATOR = "<SEP>"
_TRIPLETS = ("user", "song", "plays")


def convert(*, source: str, audio: str, output: str) -> conversion.Summary:
  """Writes the recordings table and the listening log.

  Args:
    source: folder with the files above, as published.
    audio: folder of audio files named by track id, or a table of them.
    output: directory to write.

  Returns:
    What was written.

  Raises:
    DataError: a file is missing or not of its format.
  """
  tracks = dumps.require(source, "unique_tracks.txt")
  triplets = dumps.require(source, "train_triplets.txt")
  mismatches = _pairs(dumps.require(source, "sid_mismatches.txt"))
  accepted = dumps.find(source, "sid_matches_manually_accepted.txt")
  if accepted is not None:
    mismatches -= _pairs(accepted)
  database = dumps.find(source, "lastfm_tags.db")
  index = audio_index.open_audio(audio)
  with conversion.writing(output, index) as writer:
    songs = _recordings(tracks, mismatches, _tags(database, index), writer)
    _log(triplets, songs, writer)
  return conversion.finished(output, writer)


def _pairs(path: str) -> set[tuple[str, str]]:
  with dumps.open_text(path) as file:
    found = (_PAIR.search(line) for line in file)
    return {(m.group(1), m.group(2)) for m in found if m is not None}


def _recordings(
  path: str,
  mismatches: set[tuple[str, str]],
  tags: dict[str, list[str]],
  writer: conversion.Conversion,
) -> dict[str, int]:
  """Writes the recordings; returns the position of each song's."""
  songs: dict[str, int] = {}
  counts = writer.counts
  for track, song, artist, title in _tracks(path, counts):
    counts["tracks"] += 1
    position = writer.audio.get(track)
    if (song, track) in mismatches:
      counts["tracks_mismatched"] += 1
    elif position is None:
      counts["tracks_without_audio"] += 1
    elif song in songs:
      counts["tracks_of_a_song_that_has_one"] += 1
    else:
      songs[song] = position
      writer.add_recording(
        position,
        title=title,
        artist=artist,
        description="\n".join(tags.get(track, ())),
      )
  return songs


def _tracks(
  path: str, counts: collections.Counter[str]
) -> Iterator[tuple[str, str, str, str]]:
  with dumps.open_text(path) as file:
    for line in file:
      fields = line.rstrip("\r\n").split(_SEPARATOR)
      if len(fields) == 4:
        yield fields[0], fields[1], fields[2], fields[3]
      else:
        counts["tracks_broken"] += 1


def _tags(
  path: str | None, audio: audio_index.AudioIndex
) -> dict[str, list[str]]:
  """Tags of the tracks that have audio, most used first.

  One pass over each table: the join needs no index of the database.
  """
  if path is None:
    return {}
  weighted: dict[str, list[tuple[float, str]]] = {}
  try:
    with contextlib.closing(
      sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ) as database:
      tids = database.execute("SELECT rowid, tid FROM tids")
      tracks = {n: t for n, t in tids if audio.get(t) is not None}
      names = dict(database.execute("SELECT rowid, tag FROM tags"))
      for tid, tag, value in database.execute(
        "SELECT tid, tag, val FROM tid_tag"
      ):
        if tid in tracks and tag in names:
          pairs = weighted.setdefault(tracks[tid], [])
          pairs.append((-value, names[tag]))
  except sqlite3.Error as error:
    raise errors.DataError(
      f"{path}: not the Last.fm tags of the MSD ({error})"
    ) from error
  return {
    track: [name for _, name in sorted(pairs)]
    for track, pairs in weighted.items()
  }


def _log(
  path: str, songs: dict[str, int], writer: conversion.Conversion
) -> None:
  import pyarrow
  import pyarrow.compute

  ids = pyarrow.array([song.encode() for song in songs], pyarrow.binary())
  places = np.array([*songs.values(), -1], np.int64)
  with dumps.open_binary(path) as file:
    for batch in delimited.read_batches(
      path,
      file,
      _TRIPLETS,
      header=False,
      on_broken=writer.note_broken,
    ):
      found = pyarrow.compute.index_in(batch["song"], value_set=ids)
      rows = found.fill_null(-1).to_numpy(zero_copy_only=False)
      writer.add_events(batch["user"], places[rows], batch["plays"])
