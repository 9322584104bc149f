"""Frozen value types that cross package boundaries."""

from __future__ import annotations

import dataclasses
from typing import Any

from music_embed.core import errors


@dataclasses.dataclass(frozen=True)
class LogMelFrontEnd:
  """Parameters of the log-mel front end.

  Defaults are Huang et al. 2020 (16 kHz, 25 ms Hann window, 10 ms hop, 64
  bins, windows of 300 frames); FFT size, mel range and log offset, which the
  paper leaves open, are those of its authors' public VGGish front end.

  Attributes:
    sample_rate_hz: rate of the mono waveform.
    frame_length: samples under the Hann window of one frame.
    hop_length: samples between the starts of neighbouring frames.
    fft_length: FFT size, samples; frames are zero-padded to it at the end.
    num_bins: mel bins.
    min_hz: lower edge of the lowest mel triangle.
    max_hz: upper edge of the highest mel triangle.
    log_offset: added to mel magnitudes before the natural logarithm.
    window_frames: frames of one network input window.
  """

  sample_rate_hz: int = 16_000
  frame_length: int = 400
  hop_length: int = 160
  fft_length: int = 512
  num_bins: int = 64
  min_hz: float = 125.0
  max_hz: float = 7_500.0
  log_offset: float = 0.01
  window_frames: int = 300

  def __post_init__(self) -> None:
    if self.frame_length > self.fft_length:
      raise errors.ConfigError(
        f"LogMelFrontEnd: frame_length {self.frame_length} exceeds fft_length "
        f"{self.fft_length}"
      )
    if self.log_offset <= 0:
      raise errors.ConfigError("LogMelFrontEnd.log_offset must be positive")

  @property
  def window_samples(self) -> int:
    """Samples that give exactly `window_frames` frames (48,240: 3.015 s)."""
    return (self.window_frames - 1) * self.hop_length + self.frame_length

  def num_frames(self, num_samples: int) -> int:
    """Whole frames of a waveform, without any padding."""
    if num_samples < self.frame_length:
      return 0
    return 1 + (num_samples - self.frame_length) // self.hop_length

  def to_json(self) -> dict[str, Any]:
    """The parameters as a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> LogMelFrontEnd:
    """Inverse of `to_json`; unknown keys raise TypeError."""
    return cls(**values)


@dataclasses.dataclass(frozen=True)
class Quantization:
  """Affine quantisation of log-mels to uint8.

  `stored = round((value - low) / (high - low) * 255)`, clipped. The default
  range is that of log(mel + 0.01) for waveforms in [-1, 1].

  Attributes:
    low: value stored as 0.
    high: value stored as 255.
  """

  low: float = -4.61
  high: float = 5.59

  @property
  def step(self) -> float:
    """Difference between neighbouring stored values."""
    return (self.high - self.low) / 255.0

  def to_json(self) -> dict[str, float]:
    """The range as a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)


SPLITS = ("train", "validation", "evaluation")
"""Parts of a dataset, in the order of their recordings' indices."""
