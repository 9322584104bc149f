"""The recordings table: which audio, under which name, with which text."""

from __future__ import annotations

import dataclasses
import os

from music_embed.core import errors
from music_embed.data.corpora import tables

REQUIRED = ("recording_id", "audio", "title", "description")
"""Columns that a recordings table must have; titles may be empty."""

OPTIONAL = ("artist", "music_share")
"""Columns that it may have."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
  """One row of a recordings table.

  Attributes:
    recording_id: unique, not empty.
    audio: path of the audio file, as in the table.
    title: may be empty.
    description: may be empty.
    artist: empty where unknown.
    music_share: share of the audio that is music, in [0, 1]; None where
      unknown.
  """

  recording_id: str
  audio: str
  title: str
  description: str
  artist: str = ""
  music_share: float | None = None


def read_recordings(path: str) -> list[Recording]:
  """Reads a recordings table.

  Args:
    path: csv, tsv, jsonl (each also .gz) or parquet.

  Returns:
    Its rows in order.

  Raises:
    DataError: a row is malformed, an id is empty or occurs twice, an audio
      path is empty, a music_share is no share; names file and row.
  """
  recordings: list[Recording] = []
  rows: dict[str, int] = {}
  for row in tables.read_rows(path, required=REQUIRED, optional=OPTIONAL):
    problem = row.problem or _problem(row.values, rows)
    if problem:
      raise errors.DataError(f"{path}, row {row.number}: {problem}")
    values = dict(row.values)
    share = values.pop("music_share", "")
    rows[values["recording_id"]] = row.number
    recordings.append(
      Recording(**values, music_share=float(share) if share else None)
    )
  if not recordings:
    raise errors.DataError(f"{path}: holds no recordings")
  return recordings


def audio_path(table: str, recording: Recording) -> str:
  """Where the audio is: relative paths start at the table's folder."""
  return os.path.join(os.path.dirname(table), recording.audio)


def _problem(values: dict[str, str], rows: dict[str, int]) -> str:
  recording_id = values["recording_id"]
  if not recording_id:
    return "recording_id is empty"
  if recording_id in rows:
    first = rows[recording_id]
    return f"recording_id {recording_id!r} is already that of row {first}"
  if not values["audio"]:
    return "audio is empty"
  share = values.get("music_share", "")
  if share and not _is_share(share):
    return f"music_share is {share!r}, not a number from 0 to 1"
  return ""


def _is_share(text: str) -> bool:
  try:
    return 0.0 <= float(text) <= 1.0
  except ValueError:
    return False
