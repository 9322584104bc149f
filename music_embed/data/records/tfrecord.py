"""TFRecord framing: length, masked CRC32C, payload, masked CRC32C.

Written and read without TensorFlow, so that ingestion stays light and a
damaged record is found and named instead of ending a shard silently.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

import google_crc32c

from music_embed.core import errors, files

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
    path: a TFRecord file, uncompressed, local or remote.

  Yields:
    (byte offset of the payload in the file, payload) of each record.

  Raises:
    DataError: a record is damaged or cut short; names file and record.
  """
  with files.open_read(path) as file:
    start, number = 0, 0
    while header := file.read(HEADER_BYTES):
      record = f"{path}: record {number}"
      payload = _payload(file, header, start, record)
      yield start + HEADER_BYTES, payload
      start += HEADER_BYTES + len(payload) + FOOTER_BYTES
      number += 1


def _payload(file: IO[bytes], header: bytes, start: int, record: str) -> bytes:
  """Reads and checks the payload and footer that follow a header."""
  cut_short = errors.DataError(f"{record} is cut short: the file ends in it")
  if len(header) < HEADER_BYTES:
    raise cut_short
  length, crc = struct.unpack("<QI", header)
  if crc != masked_crc(header[:8]):
    raise errors.DataError(
      f"{record} (byte {start}) is damaged: its length does not match its"
      " checksum, so the records after it cannot be found"
    )
  payload, footer = file.read(length), file.read(FOOTER_BYTES)
  if len(payload) < length or len(footer) < FOOTER_BYTES:
    raise cut_short
  if struct.unpack("<I", footer)[0] != masked_crc(payload):
    raise errors.DataError(
      f"{record} (byte {start}) is damaged: its contents do not match their"
      " checksum"
    )
  return payload
