"""Waveforms to audio files that are the same bytes every time."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from music_embed.core import files

_SUBTYPES = {
  "wav": "PCM_16",
  "flac": "PCM_16",
  "ogg": "VORBIS",
  "mp3": "MPEG_LAYER_III",
}
_OGG_SERIAL = 1
_OGG_POLYNOMIAL = 0x04C11DB7


def write_audio(
  path: str,
  waveform: npt.NDArray[np.float32],
  *,
  rate_hz: int,
  file_format: str,
  file_rate_hz: int,
) -> None:
  """Writes an audio file that appears whole or not at all.

  Args:
    path: of the file.
    waveform: float32 [samples, channels].
    rate_hz: of the waveform.
    file_format: "wav", "flac", "ogg" or "mp3".
    file_rate_hz: rate to resample to.
  """
  if rate_hz != file_rate_hz:
    waveform = soxr.resample(waveform, rate_hz, file_rate_hz)
  buffer = io.BytesIO()
  soundfile.write(
    buffer,
    np.clip(waveform, -1.0, 1.0),
    file_rate_hz,
    format=file_format.upper(),
    subtype=_SUBTYPES[file_format],
  )
  content = buffer.getvalue()
  if file_format == "ogg":
    content = with_fixed_serial(content)
  with files.atomic_write(path) as file:
    file.write(content)


def with_fixed_serial(content: bytes) -> bytes:
  """Replaces the random stream number that libsndfile gives an Ogg file.

  Args:
    content: a whole Ogg file with one stream.

  Returns:
    The file with another serial number and matching page checksums.
  """
  pages = []
  start = 0
  while start < len(content):
    num_segments = content[start + 26]
    body_start = start + 27 + num_segments
    end = body_start + sum(content[start + 27 : body_start])
    page = bytearray(content[start:end])
    page[14:18] = struct.pack("<I", _OGG_SERIAL)
    page[22:26] = bytes(4)  # The checksum is taken with its place zeroed.
    page[22:26] = struct.pack("<I", _ogg_checksum(page))
    pages.append(bytes(page))
    start = end
  return b"".join(pages)


def _checksum_table() -> list[int]:
  table = []
  for byte in range(256):
    value = byte << 24
    for _ in range(8):
      value = (value << 1) ^ (_OGG_POLYNOMIAL if value >> 31 else 0)
      value &= 0xFFFFFFFF
    table.append(value)
  return table


_TABLE = _checksum_table()


def _ogg_checksum(page: bytearray) -> int:
  value = 0
  for byte in page:
    value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
  return value
