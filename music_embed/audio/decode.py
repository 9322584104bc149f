"""Audio files of any kind to mono waveforms of one rate."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from music_embed.audio import file_stream


@dataclasses.dataclass(frozen=True)
class Decoded:
  """A decoded recording.

  Attributes:
    waveform: float32 [samples], mono; full scale is 1.
    sample_rate_hz: rate of `waveform`.
    source_rate_hz: rate of the file.
    num_channels: channels of the file; `waveform` is their mean.
    truncated: the file holds less audio than its header promises, or a
      damaged part ended decoding early.
    clipped: at least one in a thousand samples of the mono mix is at full
      scale.
  """

  waveform: npt.NDArray[np.float32]
  sample_rate_hz: int
  source_rate_hz: int
  num_channels: int
  truncated: bool
  clipped: bool

  @property
  def duration_s(self) -> float:
    """Length of the waveform."""
    return len(self.waveform) / self.sample_rate_hz


def decode(
  path: str,
  *,
  sample_rate_hz: int = 16_000,
  max_s: float | None = 600.0,
) -> Decoded:
  """Decodes a wav, flac, ogg, mp3 ... file to a mono waveform.

  Channels are averaged; the resampler is soxr's HQ.

  Args:
    path: a local audio file.
    sample_rate_hz: rate of the result.
    max_s: audio after this time is not read; None reads all.

  Returns:
    The waveform and what was found out about the file.

  Raises:
    AudioError: the file is missing, is no audio that libsndfile can read,
      holds no samples, or holds samples that are not finite.
  """
  return _decode(
    file_stream.FileStream(path, sample_rate_hz=sample_rate_hz, max_s=max_s)
  )


def decode_bytes(
  content: bytes,
  *,
  name: str,
  sample_rate_hz: int = 16_000,
  max_s: float | None = 600.0,
) -> Decoded:
  """Decodes the bytes of an audio file, as `decode` does a file.

  Args:
    content: of the file.
    name: what errors call it.
    sample_rate_hz: rate of the result.
    max_s: audio after this time is not decoded; None decodes all.

  Returns:
    What `decode` would say of a file with these bytes, to the last digit.

  Raises:
    AudioError: as `decode`.
  """
  return _decode(
    file_stream.FileStream(
      name, sample_rate_hz=sample_rate_hz, max_s=max_s, content=content
    )
  )


def _decode(stream: file_stream.FileStream) -> Decoded:
  waveform = np.concatenate(list(stream))
  facts = stream.facts
  return Decoded(
    waveform=waveform,
    sample_rate_hz=facts.sample_rate_hz,
    source_rate_hz=facts.source_rate_hz,
    num_channels=facts.num_channels,
    truncated=facts.truncated,
    clipped=facts.clipped,
  )
