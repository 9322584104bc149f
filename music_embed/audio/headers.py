"""How much audio a file's header promises, where libsndfile does not say.

libsndfile silently shortens WAV, AIFF and Ogg files that were cut: only their
own headers tell that audio is missing.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What streaming writers leave where a size should be."""

_EVER = 1 << 62
"""libsndfile's frame counts above this mean "unknown"."""


def missing_audio(
  file: BinaryIO,
  *,
  file_format: str,
  num_frames: int,
  num_read: int,
  rate_hz: int,
) -> bool:
  """Whether a file read to its end held less audio than its header promises.

  Args:
    file: the audio file, open at its beginning.
    file_format: soundfile's major format, such as "WAV" or "MP3".
    num_frames: sample frames that libsndfile announced on opening.
    num_read: sample frames that could be decoded.
    rate_hz: sample rate of the file.
  """
  if num_frames < _EVER and num_read < num_frames:
    if file_format != "MP3":
      return True
    # Without a Xing header the length is only an estimate from the bit rate.
    if num_frames - num_read > 0.1 * rate_hz and states_mp3_length(file):
      return True
  file.seek(0)
  if file_format in ("WAV", "WAVEX"):
    return _chunk_is_cut(file, b"RIFF", b"data", "<")
  if file_format == "AIFF":
    return _chunk_is_cut(file, b"FORM", b"SSND", ">")
  if file_format == "OGG":
    return not _ogg_has_end(file)
  return False


def _chunk_is_cut(
  file: BinaryIO, container: bytes, wanted: bytes, order: str
) -> bool:
  """Whether the sample chunk of a RIFF-like file runs past the file's end."""
  size = file.seek(0, os.SEEK_END)
  file.seek(0)
  if file.read(4) != container:
    return False  # A big-endian or other variant: nothing is known.
  file.seek(12)
  while len(header := file.read(8)) == 8:
    length = struct.unpack(f"{order}4xI", header)[0]
    if header[:4] == wanted:
      if length in _UNKNOWN_SIZES:
        return False
      return file.tell() + length > size
    file.seek(length + length % 2, os.SEEK_CUR)
  return False


def _ogg_has_end(file: BinaryIO) -> bool:
  """Whether the last Ogg page is whole and marked "end of stream"."""
  file.seek(0, os.SEEK_END)
  size = file.tell()
  # A page has at most 65,307 bytes.
  file.seek(max(0, size - 2 * 65_307))
  tail = file.read()
  start = tail.rfind(b"OggS")
  if start < 0 or len(tail) < start + 27:
    return False
  end_of_segments = start + 27 + tail[start + 26]
  if len(tail) < end_of_segments:
    return False
  body = sum(tail[start + 27 : end_of_segments])
  is_whole = len(tail) >= end_of_segments + body
  return is_whole and bool(tail[start + 5] & 4)


def skip_tags(file: BinaryIO) -> None:
  """Goes to the first byte after a file's ID3v2 tags, if it has any."""
  start = 0
  while True:
    file.seek(start)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
      break
    sizes = head[6:10]  # Four "synchsafe" bytes of seven bits each.
    length = sum(
      byte << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True)
    )
    has_footer = head[5] & 0x10
    start += 10 + length + (10 if has_footer else 0)
  file.seek(start)


def states_mp3_length(file: BinaryIO) -> bool:
  """Whether an MP3 opens with a frame that states its number of frames."""
  skip_tags(file)
  first_frame = file.read(2048)
  return any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))
