"""Blocks of samples to a mono waveform of another rate, piece by piece."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from music_embed.core import errors

_MIN_RATE_HZ = 1_000
"""Below it a small file would become an endless waveform."""

_CLIPPED_LEVEL = 0.999
_CLIPPED_SHARE = 1e-3


@dataclasses.dataclass(frozen=True)
class Facts:
  """What was found out about a recording once all of it was read.

  Attributes:
    num_samples: of the mono waveform.
    sample_rate_hz: of the mono waveform.
    source_rate_hz: of what was read.
    num_channels: of what was read; the waveform is their mean.
    truncated: the file holds less audio than its header promises, or a
      damaged part ended decoding early.
    clipped: at least one in a thousand samples of the mono mix is at full
      scale.
  """

  num_samples: int
  sample_rate_hz: int
  source_rate_hz: int
  num_channels: int
  truncated: bool
  clipped: bool

  @property
  def duration_s(self) -> float:
    """Length of the waveform."""
    return self.num_samples / self.sample_rate_hz


class Stream(Protocol):
  """A mono waveform in pieces, read once; `facts` are known at its end."""

  @property
  def name(self) -> str:
    """What errors call the recording."""

  @property
  def facts(self) -> Facts:
    """Of a stream that was read to its end."""

  def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
    """Yields float32 [samples], at full scale 1; raises AudioError."""


class Mix:
  """Takes blocks of a recording, gives their mean at another rate.

  What comes out does not depend on how the recording is cut into blocks.
  """

  def __init__(self, name: str, rate_hz: int, wanted_hz: int) -> None:
    """Begins a recording.

    Args:
      name: what errors call it.
      rate_hz: rate of the blocks.
      wanted_hz: rate of the result; the resampler is soxr's HQ.

    Raises:
      AudioError: a rate that no music has.
    """
    if rate_hz < _MIN_RATE_HZ:
      raise errors.AudioError(
        f"{name}: a sample rate of {rate_hz} Hz: at least {_MIN_RATE_HZ:,} Hz"
        " are needed"
      )
    self._name = name
    self._resampler = (
      soxr.ResampleStream(rate_hz, wanted_hz, 1, "float32", quality="HQ")
      if rate_hz != wanted_hz
      else None
    )
    self._rates_hz = rate_hz, wanted_hz
    self._num_clipped = 0
    self._num_given = 0
    self.num_read = 0

  def add(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Takes the next block.

    Args:
      block: float32 [frames, channels], at least one frame.

    Returns:
      The next piece of the waveform, float32 [samples]; none may be ready.

    Raises:
      AudioError: a sample that is not finite.
    """
    mono = _mean_of_channels(block)
    self.num_read += len(mono)
    low, high = float(np.min(mono)), float(np.max(mono))
    if not (math.isfinite(low) and math.isfinite(high)):
      raise errors.AudioError(
        f"{self._name}: holds samples that are not finite"
      )
    if max(-low, high) >= _CLIPPED_LEVEL:
      at_full_scale = np.abs(mono) >= np.float32(_CLIPPED_LEVEL)
      self._num_clipped += int(np.count_nonzero(at_full_scale))
    if self._resampler is not None:
      mono = self._resampler.resample_chunk(mono)
    self._num_given += len(mono)
    return mono

  def finish(self) -> npt.NDArray[np.float32]:
    """The rest of the waveform, float32 [samples].

    Raises:
      AudioError: no block was added.
    """
    if not self.num_read:
      raise errors.AudioError(f"{self._name}: no audio could be decoded")
    rest = np.zeros(0, np.float32)
    if self._resampler is not None:
      rest = self._resampler.resample_chunk(rest, last=True)
    self._num_given += len(rest)
    return rest

  def facts(self, num_channels: int, *, truncated: bool = False) -> Facts:
    """What is known at the end."""
    source_rate_hz, sample_rate_hz = self._rates_hz
    return Facts(
      num_samples=self._num_given,
      sample_rate_hz=sample_rate_hz,
      source_rate_hz=source_rate_hz,
      num_channels=num_channels,
      truncated=truncated,
      clipped=self._num_clipped >= _CLIPPED_SHARE * self.num_read,
    )


def _mean_of_channels(
  block: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
  """[frames, channels] to [frames]; adding is far faster than `mean(1)`."""
  if block.shape[1] == 1:
    return block[:, 0].copy()
  total: npt.NDArray[np.float32] = block[:, 0] + block[:, 1]
  for channel in range(2, block.shape[1]):
    total += block[:, channel]
  total /= block.shape[1]
  return total
