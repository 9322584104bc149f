"""What is small about a shard's recordings, in a file of its own.

A shard of recordings is nearly all payload. Its sidecar holds the rest in
columns, with the places of the payloads, so that a dataset is opened without
reading payloads. It is a TFRecord file of one Example, written by ingestion,
and a function of its shard's bytes: one that is missing or damaged is made
again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.records import example, manifest, schema, tfrecord

COLUMNS = ("recording_id", "title", "artist", "flags")
"""Texts of a recording; flags are joined by commas."""


@dataclasses.dataclass(frozen=True)
class Sidecar:
  """Columns over a shard's recordings.

  Attributes:
    row_bytes: bytes of one row; 0 where there is no recording.
    offset: byte in the shard where the payload starts, int64 [recordings].
    num_rows: int64 [recordings].
    label_lengths: labels of each recording, int64 [recordings].
    labels: label indices, one recording's after another's, int64 [labels].
    text_lengths: by column: bytes of each recording's text, int64
      [recordings].
    texts: by column: UTF-8, one after another.
  """

  row_bytes: int
  offset: npt.NDArray[Any]
  num_rows: npt.NDArray[Any]
  label_lengths: npt.NDArray[Any]
  labels: npt.NDArray[Any]
  text_lengths: dict[str, npt.NDArray[Any]]
  texts: dict[str, bytes]

  def encode(self) -> bytes:
    """The bytes of its file."""
    values: dict[str, example.Value] = {
      "row_bytes": np.array([self.row_bytes]),
      "offset": self.offset,
      "num_rows": self.num_rows,
      "label_lengths": self.label_lengths,
      "labels": self.labels,
    }
    for column in COLUMNS:
      values[f"{column}_lengths"] = self.text_lengths[column]
      values[f"{column}_utf8"] = [self.texts[column]]
    file = io.BytesIO()
    tfrecord.write(file, example.encode(values))
    return file.getvalue()


def decode(data: bytes) -> Sidecar:
  """Inverse of `Sidecar.encode`, for bytes whose checksum is right."""
  message = data[tfrecord.HEADER_BYTES : -tfrecord.FOOTER_BYTES]
  features = example.decode(message)

  def integers(name: str) -> npt.NDArray[Any]:
    return np.asarray(features[name], np.int64)

  return Sidecar(
    row_bytes=int(integers("row_bytes")[0]),
    offset=integers("offset"),
    num_rows=integers("num_rows"),
    label_lengths=integers("label_lengths"),
    labels=integers("labels"),
    text_lengths={name: integers(f"{name}_lengths") for name in COLUMNS},
    texts={name: message[features[f"{name}_utf8"][0]] for name in COLUMNS},
  )


class Collector:
  """Makes a sidecar of messages, in the order of their shard."""

  def __init__(self) -> None:
    self._row_bytes = 0
    self._offset: list[int] = []
    self._num_rows: list[int] = []
    self._labels: list[npt.NDArray[Any]] = []
    self._texts: dict[str, list[bytes]] = {name: [] for name in COLUMNS}

  def add(self, begin: int, message: bytes) -> None:
    """Adds a recording.

    Args:
      begin: byte in the shard where the message starts.
      message: a record of the shard.

    Raises:
      DataError: it is not the record of a recording, or its rows are of
        another size than those before it.
    """
    entry = schema.decode_recording(message)
    if self._offset and entry.row_bytes != self._row_bytes:
      raise errors.DataError(
        f"rows of {entry.row_bytes} bytes after rows of {self._row_bytes}"
      )
    self._row_bytes = entry.row_bytes
    self._offset.append(begin + entry.payload.start)
    self._num_rows.append(entry.num_rows)
    self._labels.append(entry.labels)
    flags = ",".join(entry.flags)
    texts = (entry.recording_id, entry.title, entry.artist, flags)
    for column, text in zip(COLUMNS, texts, strict=True):
      self._texts[column].append(text.encode())

  def finish(self) -> Sidecar:
    """What was collected."""
    return Sidecar(
      row_bytes=self._row_bytes,
      offset=np.array(self._offset, np.int64),
      num_rows=np.array(self._num_rows, np.int64),
      label_lengths=np.array([len(ids) for ids in self._labels], np.int64),
      labels=np.concatenate([np.empty(0, np.int64), *self._labels]),
      text_lengths={
        column: np.array([len(text) for text in texts], np.int64)
        for column, texts in self._texts.items()
      },
      texts={name: b"".join(texts) for name, texts in self._texts.items()},
    )


def name_of(shard: str) -> str:
  """The sidecar's file name, e.g. `train.index-00000-of-00008`."""
  return shard.replace(".tfrecord-", ".index-")


def read(
  directory: str,
  shard: manifest.FileEntry,
  expected: manifest.FileEntry | None,
) -> Sidecar:
  """A shard's sidecar; made again where it is missing or damaged.

  Args:
    directory: the dataset's directory, local or remote.
    shard: the shard's entry in the manifest.
    expected: the sidecar's entry there.

  Returns:
    The sidecar.

  Raises:
    DataError: it had to be made again, and the shard is damaged, or is not
      the one of the manifest; names shard and record.
  """
  path = files.join(directory, name_of(shard.name))
  try:
    data = files.read_bytes(path)
  except OSError:
    data = b""
  if expected is not None and _sha256(data) == expected.sha256:
    return decode(data)
  made = from_shard(directory, shard)
  if expected is not None and _sha256(made.encode()) != expected.sha256:
    raise errors.DataError(
      f"{files.join(directory, shard.name)} is not the shard that the manifest"
      " was written for"
    )
  return made


def from_shard(directory: str, shard: manifest.FileEntry) -> Sidecar:
  """Makes a shard's sidecar from all of the shard, checking all checksums.

  Raises:
    DataError: as `read`.
  """
  path = files.join(directory, shard.name)
  collector, num_records = Collector(), 0
  for begin, message in tfrecord.scan(path):
    try:
      collector.add(begin, message)
    except errors.DataError as error:
      raise errors.DataError(
        f"{path}: record {num_records}: {error}"
      ) from error
    num_records += 1
  if num_records != shard.num_records:
    raise errors.DataError(
      f"{path} holds {num_records} records, but {shard.num_records} in the"
      " manifest"
    )
  return collector.finish()


def _sha256(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()
