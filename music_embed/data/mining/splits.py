"""Assigns recordings to training, validation and evaluation."""

from __future__ import annotations

import dataclasses
from typing import Literal

from music_embed.core import errors, seeds, types
from music_embed.data.mining import tokens


@dataclasses.dataclass(frozen=True)
class SplitOptions:
  """How recordings are split.

  Each goes by a keyed hash, so that a recording stays where it is when others
  are added; shares are met on average.

  Attributes:
    validation_share: share of the validation part.
    evaluation_share: share of the evaluation part.
    by: "recording", or "artist" to keep the recordings of an artist together
      (those without an artist go by themselves).
  """

  validation_share: float = 0.05
  evaluation_share: float = 0.05
  by: Literal["recording", "artist"] = "recording"

  def __post_init__(self) -> None:
    shares = self.validation_share, self.evaluation_share
    if min(shares) < 0 or sum(shares) >= 1:
      raise errors.ConfigError(
        f"SplitOptions: shares {shares} leave nothing to train on, or are"
        " negative"
      )
    if self.by not in ("recording", "artist"):
      raise errors.ConfigError(
        f'SplitOptions.by is {self.by!r}: must be "recording" or "artist"'
      )


def split_of(
  recording_id: str, artist: str, *, options: SplitOptions, seed: int
) -> str:
  """The split of one recording.

  Args:
    recording_id: its id.
    artist: its artist, empty where unknown.
    options: shares and unit.
    seed: other seeds give other splits.

  Returns:
    One of `types.SPLITS`.
  """
  by_artist = options.by == "artist" and artist.strip()
  unit = tokens.normalize(artist) if by_artist else recording_id
  kind = "artist" if by_artist else "recording"
  draw = seeds.hash_unit(seed, f"split by {kind}", unit)
  train, validation, evaluation = types.SPLITS
  if draw < options.evaluation_share:
    return evaluation
  if draw < options.evaluation_share + options.validation_share:
    return validation
  return train
