"""Frozen value types that cross package boundaries."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from music_embed.core import errors


@dataclasses.dataclass(frozen=True)
class LogMelFrontEnd:
  """Parameters of the log-mel front end; a row is one frame.

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

  kind: ClassVar[str] = "log_mel"

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
  def row_shape(self) -> tuple[int, ...]:
    """Shape of one frame."""
    return (self.num_bins,)

  @property
  def window_rows(self) -> int:
    """Frames of a window."""
    return self.window_frames

  @property
  def window_shape(self) -> tuple[int, ...]:
    """Shape of one window: (frames, bins)."""
    return (self.window_rows, *self.row_shape)

  @property
  def hop_samples(self) -> int:
    """Samples between the starts of neighbouring rows."""
    return self.hop_length

  @property
  def window_samples(self) -> int:
    """Samples that give exactly `window_frames` frames (48,240: 3.015 s)."""
    return self.num_samples(self.window_frames)

  @property
  def silence(self) -> float:
    """Every value of a row of digital silence."""
    return math.log(self.log_offset)

  def num_rows(self, num_samples: int) -> int:
    """Whole frames of a waveform, without any padding."""
    if num_samples < self.frame_length:
      return 0
    return 1 + (num_samples - self.frame_length) // self.hop_length

  def num_samples(self, num_rows: int) -> int:
    """Samples under that many frames, at least one."""
    return (num_rows - 1) * self.hop_length + self.frame_length

  def to_json(self) -> dict[str, Any]:
    """The kind and the parameters as a JSON-serialisable dictionary."""
    return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class WaveformFrontEnd:
  """Waveforms as they are, for networks that learn their own filters.

  A row is one sample.

  Attributes:
    sample_rate_hz: rate of the mono waveform.
    window_samples: samples of one network input window; the default is the
      3^10 of Lee et al. 2017 ("Sample-level deep convolutional neural
      networks"), 3.7 s here.
  """

  kind: ClassVar[str] = "waveform"

  sample_rate_hz: int = 16_000
  window_samples: int = 59_049

  def __post_init__(self) -> None:
    for name in ("sample_rate_hz", "window_samples"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"WaveformFrontEnd.{name} must be positive")

  @property
  def row_shape(self) -> tuple[int, ...]:
    """Shape of one sample: a scalar."""
    return ()

  @property
  def window_rows(self) -> int:
    """Samples of a window."""
    return self.window_samples

  @property
  def window_shape(self) -> tuple[int, ...]:
    """Shape of one window: (samples,)."""
    return (self.window_samples,)

  @property
  def hop_samples(self) -> int:
    """Samples between the starts of neighbouring rows."""
    return 1

  @property
  def silence(self) -> float:
    """Every value of a row of digital silence."""
    return 0.0

  def num_rows(self, num_samples: int) -> int:
    """Rows of a waveform: its samples."""
    return num_samples

  def num_samples(self, num_rows: int) -> int:
    """Samples of that many rows."""
    return num_rows

  def to_json(self) -> dict[str, Any]:
    """The kind and the parameters as a JSON-serialisable dictionary."""
    return {"kind": self.kind, **dataclasses.asdict(self)}


FrontEnd = LogMelFrontEnd | WaveformFrontEnd
"""What the stored rows are."""


def front_end_from_json(values: dict[str, Any]) -> FrontEnd:
  """Inverse of the front ends' `to_json`.

  Raises:
    KeyError: no `kind`, or one that is not known.
    TypeError: unknown parameters.
  """
  kinds = {kind.kind: kind for kind in (LogMelFrontEnd, WaveformFrontEnd)}
  parameters = dict(values)
  return kinds[parameters.pop("kind")](**parameters)


_STORAGE = {"uint8": "u1", "int16": "<i2", "float16": "<f2", "float32": "<f4"}
_LEVELS = 255
_INT16_FULL_SCALE = 32_768.0


@dataclasses.dataclass(frozen=True)
class Quantization:
  """How the values of rows are stored.

  - "uint8", of log-mels: `round((value - low) / (high - low) * 255)`,
    clipped.
  - "int16", of waveforms in [-1, 1): `round(value * 32768)`, clipped.
  - "float16" and "float32": as they are.

  Attributes:
    dtype: of the above.
    low: uint8: value stored as 0; None: from the front end.
    high: uint8: value stored as 255; None: from the front end.
  """

  dtype: str = "uint8"
  low: float | None = None
  high: float | None = None

  def __post_init__(self) -> None:
    if self.dtype not in _STORAGE:
      raise errors.ConfigError(
        f"Quantization.dtype={self.dtype!r}: one of {', '.join(_STORAGE)}"
      )
    if self.dtype != "uint8" and (self.low, self.high) != (None, None):
      raise errors.ConfigError(
        f"Quantization.low and .high are of uint8, not of {self.dtype}"
      )

  @classmethod
  def default(cls, front_end: FrontEnd) -> Quantization:
    """What a front end's rows are stored as unless asked otherwise."""
    dtype = "int16" if isinstance(front_end, WaveformFrontEnd) else "uint8"
    return cls(dtype).resolved(front_end)

  def resolved(self, front_end: FrontEnd) -> Quantization:
    """The same with its range, where it has one.

    The range of log-mels goes from silence to a tone at full scale whose
    main lobe lies in one mel bin, log(fft_length / 2 + log_offset), with
    the step rounded up to a thousandth: -4.61 to 5.59 for the defaults.

    Raises:
      ConfigError: this front end's rows cannot be stored so.
    """
    if isinstance(front_end, WaveformFrontEnd):
      if self.dtype == "uint8":
        raise errors.ConfigError(
          "Quantization.dtype='uint8' is too coarse for waveforms: int16,"
          " float16 or float32"
        )
      return self
    if self.dtype == "int16":
      raise errors.ConfigError(
        "Quantization.dtype='int16' is of waveforms; log-mels are stored as"
        " uint8, float16 or float32"
      )
    if self.dtype != "uint8":
      return self
    low, high = self.low, self.high
    if low is None:
      low = math.floor(front_end.silence * 100) / 100
    if high is None:
      full = math.log(front_end.fft_length / 2 + front_end.log_offset)
      step = math.ceil((full - low) / _LEVELS * 1000) / 1000
      high = round(low + _LEVELS * step, 6)
    if low > front_end.silence:
      raise errors.ConfigError(
        f"Quantization.low {low} is above silence, "
        f"log(LogMelFrontEnd.log_offset) = {front_end.silence:.3f}: quiet"
        " sounds would be lost"
      )
    if high <= low:
      raise errors.ConfigError(f"Quantization.high {high} is not above {low}")
    return Quantization(self.dtype, low, high)

  @property
  def storage(self) -> np.dtype[Any]:
    """The numpy dtype of stored values, little-endian."""
    return np.dtype(_STORAGE[self.dtype])

  @property
  def step(self) -> float:
    """Value of one stored unit; `value = stored * step + offset`.

    Raises:
      ValueError: a uint8 without a range: call `resolved` first.
    """
    if self.dtype == "int16":
      return 1.0 / _INT16_FULL_SCALE
    if self.dtype != "uint8":
      return 1.0
    if self.low is None or self.high is None:
      raise ValueError("a Quantization without its range: resolve it first")
    return (self.high - self.low) / _LEVELS

  @property
  def offset(self) -> float:
    """Value of a stored zero."""
    return self.low or 0.0

  def to_json(self) -> dict[str, Any]:
    """The parameters as a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Slice:
  """One worker's part of a global batch.

  Attributes:
    index: of the worker, from 0.
    count: workers that share the batch.
  """

  index: int
  count: int

  def __post_init__(self) -> None:
    if not 0 <= self.index < self.count:
      raise errors.ConfigError(
        f"worker {self.index} of {self.count}: must lie in [0, {self.count})"
      )

  def rows(self, batch: int) -> slice:
    """The contiguous rows of a global batch that are this worker's.

    Args:
      batch: rows of the global batch.

    Raises:
      ConfigError: it does not divide evenly.
    """
    if batch % self.count:
      raise errors.ConfigError(
        f"a batch of {batch} cannot be shared evenly by {self.count} workers"
      )
    size = batch // self.count
    return slice(self.index * size, (self.index + 1) * size)


SPLITS = ("train", "validation", "evaluation")
"""Parts of a dataset, in the order of their recordings' indices."""
