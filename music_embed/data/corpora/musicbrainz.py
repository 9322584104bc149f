"""Recordings that are known by their MusicBrainz ids, or by their names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.corpora import audio_index

_MBID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def normalize_id(recording_id: str) -> str:
  """MusicBrainz ids in lower case; what is none stays as it is."""
  return recording_id.lower() if _MBID.fullmatch(recording_id) else recording_id


def positions(
  audio: audio_index.AudioIndex, ids: Any, artists: Any, titles: Any
) -> npt.NDArray[np.int64]:
  """Positions of the audio of events, by id first, then by artist and title.

  Args:
    audio: the audio that the user has.
    ids: Arrow array [rows], binary: MusicBrainz ids of recordings, empty
      where missing.
    artists: likewise, their artists' names.
    titles: likewise, their names.

  Returns:
    int64 [rows], -1 where there is no audio.
  """
  import pyarrow
  import pyarrow.compute

  lower = pyarrow.compute.ascii_lower(ids.cast(pyarrow.string(), safe=False))
  found = audio.positions(lower.cast(pyarrow.binary()))
  missing = np.flatnonzero(found < 0)
  rows = pyarrow.array(missing)
  by_name = audio.positions_by_name(artists.take(rows), titles.take(rows))
  found[missing] = by_name
  return found
