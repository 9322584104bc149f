"""What a person may ask about: terms, senses, recordings, audio files."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.records import label_names, prepared

Kind = Literal["term", "label", "recording", "file"]

_AUDIO = (".mp3", ".flac", ".wav", ".ogg", ".opus", ".m4a", ".aac", ".aiff")


@dataclasses.dataclass(frozen=True)
class Query:
  """A query and what it was found to be.

  Attributes:
    text: as asked.
    kind: of what it is.
    name: for headings.
    labels: label ids of a term or label; the index of a recording.
  """

  text: str
  kind: Kind
  name: str
  labels: npt.NDArray[Any]

  @property
  def is_label(self) -> bool:
    """Whether it is a term, or one of its senses."""
    return self.kind in ("term", "label")

  @property
  def num_entries(self) -> int:
    """Points of the space that answer it."""
    return len(self.labels) if self.is_label else 1


def resolve(
  text: str, names: label_names.LabelNames, data: prepared.PreparedDataset
) -> Query:
  """Finds out what a query is: term, label, recording or file, in this order.

  Raises:
    ConfigError: it is none of them; the message names what is spelt alike.
    DataError: it looks like an audio file that is not there.
  """
  found = names.find(text)
  if found is not None:
    return Query(text, found.kind, found.name, found.labels)
  for index, recording_id in enumerate(data.recording_ids):
    if recording_id == text:
      name = f"{text}: {data.titles[index]}"
      return Query(text, "recording", name, np.array([index]))
  if os.path.isfile(text):
    return Query(text, "file", text, np.zeros(0, np.int64))
  if "/" in text or text.lower().endswith(_AUDIO):
    raise errors.DataError(f"{text}: no such file")
  advice = names.unknown(text)
  raise errors.ConfigError(
    f"{text!r}: no label, recording id or file of this name"
    f"{'; ' if advice else ''}{advice}"
  )
