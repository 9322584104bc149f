"""One audio file to quantised log-mels: the work of an ingestion worker."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from music_embed.audio import decode, log_mel, windows
from music_embed.core import errors, types
from music_embed.data.records import quantize, schema


@dataclasses.dataclass(frozen=True)
class Features:
  """What a worker makes of an audio file.

  Attributes:
    log_mel: uint8 [frames, bins], at least a window.
    flags: of `records.schema`.
    audio_s: duration of what was used of the file.
  """

  log_mel: npt.NDArray[np.uint8]
  flags: tuple[str, ...]
  audio_s: float


def featurize(
  path: str,
  front_end: types.LogMelFrontEnd,
  quantization: types.Quantization,
  *,
  max_duration_s: float,
) -> Features:
  """Decodes a file and computes its quantised log-mels.

  Args:
    path: the audio file.
    front_end: parameters of the log-mels.
    quantization: range of the stored values.
    max_duration_s: audio after this time is not used.

  Returns:
    The features. A recording shorter than a window is padded with silence.

  Raises:
    AudioError: the file cannot be used: not decodable, shorter than a frame,
      or truncated to less than a window.
  """
  decoded = decode.decode(
    path, sample_rate_hz=front_end.sample_rate_hz, max_s=max_duration_s
  )
  values = log_mel.log_mel(decoded.waveform, front_end)
  audio_s = len(decoded.waveform) / front_end.sample_rate_hz
  is_short = len(values) < front_end.window_frames
  if not len(values):
    raise errors.AudioError(f"{path}: shorter than one frame")
  if is_short and decoded.truncated:
    raise errors.AudioError(
      f"{path}: truncated: {audio_s:.2f} s could be read, less than a window"
    )
  present = {
    schema.TRUNCATED: decoded.truncated,
    schema.SHORT: is_short,
    schema.LONG: not decoded.truncated and audio_s >= max_duration_s,
    schema.CLIPPED: decoded.clipped,
  }
  padded = windows.pad_to_window(values, front_end)
  return Features(
    log_mel=quantize.quantize(padded, quantization),
    flags=tuple(flag for flag, is_set in present.items() if is_set),
    audio_s=audio_s,
  )
