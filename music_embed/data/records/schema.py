"""What one record of a shard holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.records import example

TRUNCATED = "truncated"
"""Flag: the file held less audio than its header promised."""

SHORT = "short"
"""Flag: shorter than one window, padded with silence to one."""

LONG = "long"
"""Flag: longer than the longest duration kept; its end was dropped."""

CLIPPED = "clipped"
"""Flag: many samples of the file are at full scale."""


@dataclasses.dataclass(frozen=True)
class RecordingRecord:
  """One recording of a `train|validation|evaluation` shard.

  Attributes:
    recording_id: the id of the recordings table.
    title: as in the table.
    artist: as in the table; empty where unknown.
    labels: sorted vocabulary indices of its text's n-grams, int64 [labels].
    rows: as stored, [rows, *row_shape] of the dataset's front end and
      quantisation.
    flags: of TRUNCATED, SHORT, LONG, CLIPPED.
  """

  recording_id: str
  title: str
  artist: str
  labels: npt.NDArray[Any]
  rows: npt.NDArray[Any]
  flags: tuple[str, ...] = ()

  def encode(self) -> bytes:
    """The record as a serialised `tf.train.Example`."""
    return example.encode(
      {
        "recording_id": [self.recording_id.encode()],
        "title": [self.title.encode()],
        "artist": [self.artist.encode()],
        "num_rows": np.array([len(self.rows)]),
        "labels": self.labels,
        "payload": [self.rows.tobytes()],
        "flags": [flag.encode() for flag in self.flags],
      }
    )


@dataclasses.dataclass(frozen=True)
class RecordingEntry:
  """What the index keeps of a recording's record.

  Attributes:
    recording_id: the id of the recordings table.
    title: as in the table.
    artist: as in the table; empty where unknown.
    labels: sorted vocabulary indices, int64 [labels].
    flags: of TRUNCATED, SHORT, LONG, CLIPPED.
    num_rows: rows of the payload.
    payload: the bytes of the message that hold the rows.
  """

  recording_id: str
  title: str
  artist: str
  labels: npt.NDArray[Any]
  flags: tuple[str, ...]
  num_rows: int
  payload: slice

  @property
  def row_bytes(self) -> int:
    """Bytes of one row."""
    return (self.payload.stop - self.payload.start) // self.num_rows


def decode_recording(message: bytes) -> RecordingEntry:
  """Parses the record of a recording.

  Args:
    message: a serialised `tf.train.Example`.

  Returns:
    The entry, which points at the rows instead of holding them.

  Raises:
    DataError: a feature is missing, or the payload is not whole rows.
  """
  features = example.decode(message)
  try:
    text = {
      name: message[features[name][0]].decode()
      for name in ("recording_id", "title", "artist")
    }
    entry = RecordingEntry(
      **text,
      labels=np.asarray(features["labels"], np.int64),
      flags=tuple(message[place].decode() for place in features["flags"]),
      num_rows=int(np.asarray(features["num_rows"])[0]),
      payload=features["payload"][0],
    )
  except (IndexError, KeyError, TypeError, ValueError) as error:
    raise errors.DataError(
      f"not the record of a recording (trouble with {error})"
    ) from error
  num_bytes = entry.payload.stop - entry.payload.start
  if entry.num_rows < 1 or num_bytes != entry.num_rows * entry.row_bytes:
    raise errors.DataError(
      f"{num_bytes} bytes of payload are not {entry.num_rows} whole rows"
    )
  if (np.diff(entry.labels) <= 0).any():
    raise errors.DataError("label indices are not sorted")
  return entry


def encode_vertex(
  recording: int, neighbors: npt.NDArray[Any], counts: npt.NDArray[Any]
) -> bytes:
  """The edges of one recording as a serialised `tf.train.Example`.

  Args:
    recording: index of the recording.
    neighbors: indices of its neighbours, sorted, [degree].
    counts: users who listened to both, [degree].

  Returns:
    The serialised message.
  """
  return example.encode(
    {
      "recording": np.array([recording]),
      "neighbors": neighbors,
      "counts": counts,
    }
  )


def decode_vertex(
  payload: bytes,
) -> tuple[int, npt.NDArray[Any], npt.NDArray[Any]]:
  """Inverse of `encode_vertex`: (recording, int64 [degree], int64 [degree]).

  Raises:
    DataError: not the record of a vertex.
  """
  features = example.decode(payload)
  try:
    (recording,) = features["recording"]
    neighbors, counts = features["neighbors"], features["counts"]
  except (KeyError, ValueError) as error:
    raise errors.DataError("not the record of a graph vertex") from error
  if len(neighbors) != len(counts):
    raise errors.DataError(f"{len(neighbors)} neighbours, {len(counts)} counts")
  return int(np.asarray(recording)), np.asarray(neighbors), np.asarray(counts)
