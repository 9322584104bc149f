"""What a person gives to be embedded: files and waveforms, one or several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from music_embed.audio import file_stream, mono, streaming
from music_embed.core import errors, types

Source = str | os.PathLike[str] | npt.NDArray[Any]
"""A path, or a waveform."""

Several = list[Any] | tuple[Any, ...]
"""Sources in a row."""

MAX_CHANNELS = 16
_LOUDEST = 64.0
"""Times full scale: above it, samples are integers in disguise."""


def is_several(source: Any) -> TypeGuard[Several]:
  """Whether it is a list or tuple of sources, and not one source."""
  return isinstance(source, list | tuple)


def window_stream(
  source: Source,
  front_end: types.LogMelFrontEnd,
  *,
  sample_rate_hz: int | None,
  name: str = "waveform",
  chunk_windows: int = 64,
) -> streaming.WindowStream:
  """The network's windows of a source of any length.

  Args:
    source: a path or a waveform.
    front_end: what a frame is, and how many a window has.
    sample_rate_hz: of a waveform; not looked at for a file, which says it.
    name: what errors call a waveform.
    chunk_windows: windows of every chunk but the last.

  Raises:
    AudioError: there is no such file, or it is empty.
    ConfigError: a waveform without its rate, or that is none.
    TypeError: neither a path nor an array.
  """
  if isinstance(source, str | os.PathLike):
    return streaming.log_mel_windows(
      os.fspath(source), front_end, chunk_windows=chunk_windows
    )
  stream = WaveformStream(
    source,
    rate_hz=_required_rate(sample_rate_hz, name),
    sample_rate_hz=front_end.sample_rate_hz,
    name=name,
  )
  return streaming.WindowStream(stream, front_end, chunk_windows=chunk_windows)


class WaveformStream:
  """The mono waveform of samples that are in memory, in pieces, read once.

  A file's samples, as they are decoded, give what the file gives.
  """

  def __init__(
    self, samples: Any, *, rate_hz: int, sample_rate_hz: int, name: str
  ) -> None:
    """Makes the stream.

    Args:
      samples: [samples], [samples, channels] or [channels, samples] of one
        recording, where at most `MAX_CHANNELS` are channels and more are
        samples. Floats have full scale 1; 8, 16 and 32 bits as in a WAV file.
      rate_hz: of the samples.
      sample_rate_hz: rate of the result.
      name: what errors call it.

    Raises:
      ConfigError: the shape or the dtype is not that of a waveform.
      TypeError: it is no array.
    """
    self._blocks = _in_time(_as_array(samples, name), name)
    self._scale, self._zero = _full_scale(self._blocks.dtype, name)
    self._mix = mono.Mix(name, rate_hz, sample_rate_hz)
    self._name = name
    self._is_finished = False

  @property
  def name(self) -> str:
    """What errors call the waveform."""
    return self._name

  @property
  def facts(self) -> mono.Facts:
    """Of the waveform.

    Raises:
      RuntimeError: it was not read to its end.
    """
    if not self._is_finished:
      raise RuntimeError(f"{self.name}: was not read to its end")
    return self._mix.facts(self._blocks.shape[1])

  def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
    """Yields pieces of the waveform, float32 [samples], full scale 1.

    Raises:
      AudioError: no sample, or one that is not finite, or far above 1.
    """
    step = max(1, file_stream.BLOCK_SAMPLES // max(1, self._blocks.shape[1]))
    for start in range(0, len(self._blocks), step):
      yield self._mix.add(self._floats(self._blocks[start : start + step]))
    yield self._mix.finish()
    self._is_finished = True

  def _floats(self, block: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
      floats = block.astype(np.float32)
    if self._scale != 1.0:
      return (floats - np.float32(self._zero)) * np.float32(self._scale)
    loudest = float(np.max(np.abs(floats)))
    if _LOUDEST < loudest < np.inf:
      raise errors.AudioError(
        f"{self.name}: a sample of {loudest:,.0f}, where floats have full scale"
        " 1: divide 16-bit samples by 32768, or give them as int16"
      )
    return floats


def _required_rate(sample_rate_hz: int | None, name: str) -> int:
  if sample_rate_hz is None:
    raise errors.ConfigError(
      f"{name}: which rate? Give sample_rate_hz, e.g. 44100"
    )
  if sample_rate_hz != int(sample_rate_hz):
    raise errors.ConfigError(
      f"sample_rate_hz={sample_rate_hz}: must be a whole number"
    )
  return int(sample_rate_hz)


def _as_array(samples: Any, name: str) -> npt.NDArray[Any]:
  """An array, without a copy where possible; raises TypeError."""
  if not hasattr(samples, "__array__"):
    raise TypeError(
      f"{name}: a path or an array of samples was expected, not"
      f" {type(samples).__name__}"
    )
  return np.asarray(samples)


def _in_time(samples: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
  """[samples, channels]; raises ConfigError."""
  shape = samples.shape
  if samples.ndim == 1:
    return samples[:, np.newaxis]
  if samples.ndim == 2:
    if shape[1] <= MAX_CHANNELS < shape[0] and shape[1]:
      return samples
    if shape[0] <= MAX_CHANNELS < shape[1] and shape[0]:
      return samples.T
    if max(shape) <= MAX_CHANNELS:
      raise errors.AudioError(f"{name}: {list(shape)} is shorter than a frame")
  raise errors.ConfigError(
    f"{name}: {list(shape)} is not one recording: [samples], [samples,"
    f" channels] or [channels, samples] with at most {MAX_CHANNELS} channels."
    " Give several recordings as a list"
  )


def _full_scale(dtype: np.dtype[Any], name: str) -> tuple[float, float]:
  """Factor to full scale 1, and the value of silence."""
  if dtype.kind == "f":
    return 1.0, 0.0
  if dtype.kind == "i" and dtype.itemsize in (1, 2, 4):
    return 2.0 ** (1 - 8 * dtype.itemsize), 0.0
  if dtype == np.uint8:
    return 1.0 / 128.0, 128.0
  raise errors.ConfigError(
    f"{name}: samples of type {dtype}: their full scale is not known; give"
    " floats in [-1, 1], int16, int32, int8 or uint8"
  )
