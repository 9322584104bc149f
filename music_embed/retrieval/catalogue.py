"""What an index knows of its recordings besides their vectors.

On disk an Arrow IPC file, which is memory-mapped: opening it costs the same
for any number of recordings. A row is a recording; columns `id`, `title`,
`artist`, `audio` (strings, empty where unknown), `artist_number` (int32, the
same for one artist however written, -1 where unknown), `duration_s` (float64,
0 where unknown), `labels` (lists of strings), `scores` (lists of float32).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute
import pyarrow.ipc

from music_embed.core import errors, files
from music_embed.data.mining import tokens
from music_embed.retrieval import entries as entries_lib

Array = npt.NDArray[Any]
_T = TypeVar("_T")

_ROWS = 65_536
"""Of a record batch."""

_SCHEMA = pyarrow.schema(
  [
    ("id", pyarrow.string()),
    ("title", pyarrow.string()),
    ("artist", pyarrow.string()),
    ("audio", pyarrow.string()),
    ("artist_number", pyarrow.int32()),
    ("duration_s", pyarrow.float64()),
    ("labels", pyarrow.list_(pyarrow.string())),
    ("scores", pyarrow.list_(pyarrow.float32())),
  ]
)

_FIELDS = {
  "id": "ids",
  "title": "titles",
  "artist": "artists",
  "audio": "audio",
  "duration_s": "durations_s",
  "labels": "labels",
  "scores": "scores",
}
"""Fields of `entries.Entries`, by their columns."""


class Column(Sequence[_T], Generic[_T]):
  """A column whose values are made when they are looked at."""

  def __init__(self, values: pyarrow.ChunkedArray) -> None:
    """Holds on to the memory-mapped values."""
    self._values = values

  def __len__(self) -> int:
    return len(self._values)

  @overload
  def __getitem__(self, index: int) -> _T: ...

  @overload
  def __getitem__(self, index: slice) -> list[_T]: ...

  def __getitem__(self, index: int | slice) -> _T | list[_T]:
    if isinstance(index, slice):
      places = range(*index.indices(len(self)))
      if places.step == 1:
        return list(self._values.slice(places.start, len(places)).to_pylist())
      return [self[place] for place in places]
    place = range(len(self))[index]
    value: _T = self._values[place].as_py()
    return value

  def __iter__(self) -> Iterator[_T]:
    for chunk in self._values.chunks:
      for start in range(0, len(chunk), _ROWS):
        yield from chunk.slice(start, _ROWS).to_pylist()

  def find(self, text: str) -> int | None:
    """The first row that holds a text; None where none does."""
    row = pyarrow.compute.index(self._values, _scalar(text)).as_py()
    return None if row < 0 else int(row)


class Catalogue:
  """The recordings of an index, by row.

  Attributes:
    ids: of the recordings; each is there once.
    titles: empty where unknown.
    artists: empty where unknown.
    audio: paths of the files; empty where unknown.
    durations_s: 0 where unknown.
  """

  def __init__(self, table: pyarrow.Table) -> None:
    """Reads nothing yet but the table's shape."""
    self._table = table
    self.ids: Column[str] = Column(table["id"])
    self.titles: Column[str] = Column(table["title"])
    self.artists: Column[str] = Column(table["artist"])
    self.audio: Column[str] = Column(table["audio"])
    self.durations_s: Column[float] = Column(table["duration_s"])
    self._labels: Column[list[str]] = Column(table["labels"])
    self._scores: Column[list[float]] = Column(table["scores"])
    self._artists = table["artist_number"]

  def __len__(self) -> int:
    return int(self._table.num_rows)

  @classmethod
  def open(cls, path: str, rows: int) -> Catalogue:
    """Maps the file into memory.

    Raises:
      FileNotFoundError: there is none.
      DataError: it is damaged, or of another number of rows.
    """
    try:
      with pyarrow.memory_map(path) as source:
        table = pyarrow.ipc.open_file(source).read_all()
    except FileNotFoundError:
      raise
    except (pyarrow.ArrowException, OSError) as error:
      reason = " ".join(str(error).split())
      raise errors.DataError(f"{path}: damaged ({reason})") from error
    if table.schema != _SCHEMA or table.num_rows != rows:
      raise errors.DataError(
        f"{path}: damaged: {table.num_rows} recordings, not {rows}, or other"
        " columns"
      )
    return cls(table)

  def labels(self, row: int) -> list[tuple[str, float]]:
    """Labels of a recording and their scores, best first."""
    return list(zip(self._labels[row], self._scores[row], strict=True))

  def row_of(self, recording_id: str) -> int | None:
    """The row of an id; None where there is none."""
    return self.ids.find(recording_id)

  def row_of_audio(self, path: str) -> int | None:
    """The row of a file, by its absolute path; None where there is none."""
    return self.audio.find(os.path.abspath(path))

  def rows_of_artist(self, row: int) -> npt.NDArray[np.int64]:
    """All rows of a recording's artist, its own among them; else that alone."""
    number = self._artist_numbers[row]
    if number < 0:
      return np.array([row], np.int64)
    rows: npt.NDArray[np.int64] = np.flatnonzero(self._artist_numbers == number)
    return rows

  @functools.cached_property
  def _artist_numbers(self) -> npt.NDArray[np.int32]:
    return np.concatenate([_int32(c) for c in self._artists.chunks])

  def fields(self, rows: Array) -> dict[str, Any]:
    """Some rows, as fields of `entries.Entries`."""
    some = self._table.take(pyarrow.array(rows))
    return {
      field: some[column].to_pylist() for column, field in _FIELDS.items()
    }


class Writer:
  """Writes the recordings of an index, in the order of their rows."""

  def __init__(self, sink: pyarrow.RecordBatchFileWriter) -> None:
    """Artists are numbered in the order in which they first appear."""
    self._sink = sink
    self._artists: dict[str, int] = {}

  def append(self, some: entries_lib.Entries) -> None:
    """Writes recordings; their vectors are not looked at."""
    columns = {column: getattr(some, name) for column, name in _FIELDS.items()}
    columns["artist_number"] = list(map(self._number, some.artists))
    batch = pyarrow.RecordBatch.from_pydict(columns, schema=_SCHEMA)
    self._sink.write_batch(batch)

  def _number(self, artist: str) -> int:
    name = tokens.normalize(artist)
    return self._artists.setdefault(name, len(self._artists)) if name else -1


@contextlib.contextmanager
def writing(path: str) -> Iterator[Writer]:
  """A catalogue that appears under `path` whole or not at all."""
  with (
    files.atomic_write(path) as file,
    pyarrow.ipc.new_file(pyarrow.PythonFile(file, "w"), _SCHEMA) as sink,
  ):
    yield Writer(sink)


# What pyarrow would make of Python's and numpy's values by itself imports
# pandas first, which takes longer than a search.


def _scalar(text: str) -> pyarrow.StringScalar:
  utf8 = text.encode("utf-8", "surrogatepass")
  ends = np.array([0, len(utf8)], np.int32)
  buffers = pyarrow.py_buffer(ends), pyarrow.py_buffer(utf8)
  return pyarrow.StringArray.from_buffers(1, *buffers)[0]


def _int32(chunk: pyarrow.Int32Array) -> npt.NDArray[np.int32]:
  values = np.frombuffer(chunk.buffers()[1], np.int32)
  return values[chunk.offset : chunk.offset + len(chunk)]
