"""ListenBrainz: the public listening of its users.

Dumps of the MetaBrainz Foundation (CC0), full and incremental, in two formats;
both are read, also several together:

- `listenbrainz-listens-dump-<number>-<time>-{full,incremental}.tar.zst` (once
  .tar.xz): `<dump>/listens/<year>/<month>.listens`, a JSON object a line with
  user_id, user_name, recording_msid and track_metadata: artist_name,
  track_name, release_name, additional_info.recording_mbid where the player
  sent it, mbid_mapping.recording_mbid where the server found it.
- `listenbrainz-spark-dump-<number>-<time>-{full,incremental}.tar`:
  `<dump>/<number>.parquet` with user_id, artist_name, release_name,
  recording_name and recording_mbid, already mapped: smaller and much faster
  to read; take this one.

There is no audio: yours is found by the MusicBrainz id of the recording or,
where a listen or a file has none, by artist and title as people write them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import IO, Any

from music_embed.core import errors
from music_embed.data.corpora import (
  audio_index,
  conversion,
  dumps,
  musicbrainz,
)

_COLUMNS = (
  "user_id",
  "recording_mbid",
  "artist_name",
  "recording_name",
  "release_name",
)
_ROWS_PER_BATCH = 1 << 16


def convert(*, source: str, audio: str, output: str) -> conversion.Summary:
  """Writes the recordings table and the listening log.

  Args:
    source: a dump, or a folder with dumps or what they unpack to.
    audio: folder of audio files named by MusicBrainz recording id or
      `Artist - Title`, or a table of them.
    output: directory to write.

  Returns:
    What was written.

  Raises:
    DataError: no listens there, or not of their format.
  """
  index = audio_index.open_audio(audio, musicbrainz.normalize_id)
  num_files = 0
  with conversion.writing(output, index) as writer:
    texts = conversion.TextCollector(index)
    for name, file in dumps.members(source, _holds_listens):
      num_files += 1
      read = _parquet if name.endswith(".parquet") else _json
      for user, mbid, artist, title, release in read(name, file, writer):
        found = musicbrainz.positions(index, mbid, artist, title)
        texts.add(found, (title, artist, release))
        writer.add_events(user, found)
    if not num_files:
      raise errors.DataError(
        f"{source}: holds no .listens or .parquet files of ListenBrainz"
      )
    texts.write(writer)
  return conversion.finished(output, writer)


def _holds_listens(name: str) -> bool:
  return name.endswith((".listens", ".parquet"))


def _parquet(
  name: str, file: IO[bytes], writer: conversion.Conversion
) -> Iterator[tuple[Any, ...]]:
  del writer
  import pyarrow
  import pyarrow.parquet

  try:
    # Parquet is read from its end; the dump's files are of some 128 MB.
    table = pyarrow.parquet.ParquetFile(io.BytesIO(file.read()))
    missing = set(_COLUMNS) - set(table.schema_arrow.names)
    if missing:
      raise errors.DataError(
        f"{name}: no column {', '.join(sorted(missing))}; its columns are"
        f" {', '.join(table.schema_arrow.names)}"
      )
    for batch in table.iter_batches(_ROWS_PER_BATCH, columns=list(_COLUMNS)):
      yield tuple(
        batch.column(column)
        .cast(pyarrow.string())
        .cast(pyarrow.binary())
        .fill_null(b"")
        for column in _COLUMNS
      )
  except pyarrow.ArrowException as error:
    raise errors.DataError(f"{name}: not a parquet file ({error})") from error


def _json(
  name: str, file: IO[bytes], writer: conversion.Conversion
) -> Iterator[tuple[Any, ...]]:
  import pyarrow

  def arrays(rows: list[tuple[bytes, ...]]) -> tuple[Any, ...]:
    return tuple(
      pyarrow.array(column, pyarrow.binary())
      for column in zip(*rows, strict=True)
    )

  pending: list[tuple[bytes, ...]] = []
  for number, line in enumerate(file, 1):
    if not line.strip():
      continue
    listen = _listen(line)
    if listen is None:
      writer.note_broken(name, number, "not a listen")
      continue
    pending.append(listen)
    if len(pending) == _ROWS_PER_BATCH:
      yield arrays(pending)
      pending = []
  if pending:
    yield arrays(pending)


def _listen(line: bytes) -> tuple[bytes, ...] | None:
  """User, MusicBrainz id, artist, title and release of a listen."""
  try:
    listen = json.loads(line)
    track = listen["track_metadata"]
    information = track.get("additional_info") or {}
    mapping = track.get("mbid_mapping") or {}
    mbid = mapping.get("recording_mbid") or information.get("recording_mbid")
    user = listen.get("user_id") or listen.get("user_name")
    values = (
      user,
      mbid,
      track["artist_name"],
      track["track_name"],
      track.get("release_name"),
    )
  except (ValueError, KeyError, TypeError, AttributeError):
    return None
  return tuple(_bytes(value) for value in values)


def _bytes(value: Any) -> bytes:
  if isinstance(value, str | int) and not isinstance(value, bool):
    return str(value).encode("utf-8", "replace")
  return b""
