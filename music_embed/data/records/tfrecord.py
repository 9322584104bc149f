"""TFRecord framing: length, masked CRC32C, payload, masked CRC32C.

Written and read without TensorFlow, so that ingestion stays light and a
damaged record is found and named instead of ending a shard silently.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from typing import IO

import google_crc32c

from music_embed.core import errors

HEADER_BYTES = 12
"""Bytes before a record's payload: uint64 length and its uint32 checksum."""

FOOTER_BYTES = 4
"""Bytes after a record's payload: its uint32 checksum."""


def masked_crc(data: bytes) -> int:
  """CRC32C, rotated and offset as the TFRecord format asks."""
  crc = google_crc32c.value(data)
  return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def write(file: IO[bytes], payload: bytes) -> None:
  """Appends one record to an open file."""
  length = struct.pack("<Q", len(payload))
  file.write(length + struct.pack("<I", masked_crc(length)))
  file.write(payload)
  file.write(struct.pack("<I", masked_crc(payload)))


def scan(path: str) -> Iterator[tuple[int, bytes]]:
  """Reads a shard in sequence, checking both checksums of each record.

  Args:
    path: a local TFRecord file, uncompressed.

  Yields:
    (byte offset of the payload in the file, payload) of each record.

  Raises:
    DataError: a record is damaged or cut short; names file and record.
  """
  size = os.path.getsize(path)
  if not size:
    return  # An empty file cannot be mapped, and holds no record.
  with (
    open(path, "rb") as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    start, number = 0, 0
    while start < size:
      begin, end = _payload_range(data, start, size, f"{path}: record {number}")
      payload = data[begin:end]
      (crc,) = struct.unpack("<I", data[end : end + FOOTER_BYTES])
      if crc != masked_crc(payload):
        raise errors.DataError(
          f"{path}: record {number} (byte {start}) is damaged: its contents do"
          " not match their checksum"
        )
      yield begin, payload
      start, number = end + FOOTER_BYTES, number + 1


def _payload_range(
  data: mmap.mmap, start: int, size: int, record: str
) -> tuple[int, int]:
  begin = start + HEADER_BYTES
  if begin > size:
    raise errors.DataError(f"{record} is cut short: the file ends in it")
  length_bytes = data[start : start + 8]
  (crc,) = struct.unpack("<I", data[start + 8 : begin])
  if crc != masked_crc(length_bytes):
    raise errors.DataError(
      f"{record} (byte {start}) is damaged: its length does not match its"
      " checksum, so the records after it cannot be found"
    )
  end = begin + struct.unpack("<Q", length_bytes)[0]
  if end + FOOTER_BYTES > size:
    raise errors.DataError(f"{record} is cut short: the file ends in it")
  return begin, end
