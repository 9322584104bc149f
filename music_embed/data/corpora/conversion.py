"""What adapters of corpora write: a recordings table and a listening log."""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors, files
from music_embed.data.corpora import audio_index, recordings

RECORDINGS_TABLE = "recordings.csv"
LISTENING_LOG = "listening_log.parquet"
REPORT = "conversion.json"
"""What was read, kept and left out, and the first broken rows."""

_ROWS_PER_GROUP = 1 << 19
_NAMED_ROWS = 100


class Conversion:
  """Writes a corpus's tables; made by `writing`.

  Attributes:
    output: directory written to.
    audio: the audio that the user has.
    counts: what was read, kept and left out.
    broken: file, line and reason of the first rows that could not be used.
  """

  def __init__(
    self,
    output: str,
    audio: audio_index.AudioIndex,
    parquet: Any,
    table: Any,
    bar: Any,
  ) -> None:
    import pyarrow

    self.output = os.path.realpath(output)
    self.audio = audio
    self.counts: collections.Counter[str] = collections.Counter()
    self.broken: list[tuple[str, int, str]] = []
    self._ids = pyarrow.array([e.recording_id for e in audio.entries])
    self._parquet = parquet
    self._table = csv.writer(table, lineterminator="\n")
    self._table.writerow((*recordings.REQUIRED, "artist"))
    self._pending: list[Any] = []
    self._bar = bar
    self.counts["audio_files"] = len(audio.entries)
    self.counts["audio_files_duplicate"] = audio.num_duplicates

  def note_broken(self, name: str, line: int, reason: str) -> None:
    """Counts a row that cannot be used."""
    self.counts["log_rows"] += 1
    self.counts["log_rows_broken"] += 1
    if len(self.broken) < _NAMED_ROWS:
      self.broken.append((name, line, reason))

  def add_recording(
    self, position: int, *, title: str, artist: str, description: str
  ) -> None:
    """Writes a row of the recordings table.

    Args:
      position: of the entry in `audio`.
      title: where the entry itself has none, as the following.
      artist: its name.
      description: free text.
    """
    entry = self.audio.entries[position]
    texts = (
      entry.title or title,
      entry.description or description,
      entry.artist or artist,
    )
    path = os.path.relpath(entry.audio, self.output)
    title, description, artist = map(_clean, texts)
    self._table.writerow((entry.recording_id, path, title, description, artist))
    self.counts["recordings"] += 1

  def add_events(
    self,
    users: Any,
    positions: npt.NDArray[np.int64],
    counts: Any | None = None,
  ) -> None:
    """Writes rows of the listening log.

    Those without a user, or with a count that is not a positive integer,
    are left out and counted; so are those of recordings without audio.

    Args:
      users: Arrow array [rows], binary.
      positions: int64 [rows], the entry in `audio`, -1 where there is none.
      counts: Arrow array [rows], binary; None for one each.
    """
    import pyarrow

    self._bar.update(len(positions))
    self.counts["log_rows"] += len(positions)
    known = positions >= 0
    self.counts["log_rows_without_audio"] += int(np.count_nonzero(~known))
    users, positions = users.filter(pyarrow.array(known)), positions[known]
    if counts is None:
      plays = np.ones(len(positions), np.int64)
    else:
      plays = _integers(counts.filter(pyarrow.array(known)))
    names = _texts(users)
    lengths = pyarrow.compute.binary_length(names).fill_null(0)
    good = (lengths.to_numpy(zero_copy_only=False) > 0) & (plays > 0)
    self.counts["log_rows_broken"] += int(np.count_nonzero(~good))
    self.counts["log_rows_kept"] += int(np.count_nonzero(good))
    kept = pyarrow.array(np.flatnonzero(good))
    table = pyarrow.Table.from_arrays(
      [
        names.take(kept),
        self._ids.take(pyarrow.array(positions[good])),
        pyarrow.array(plays[good]),
      ],
      schema=_schema(),
    )
    self._pending.append(table)
    if sum(map(len, self._pending)) >= _ROWS_PER_GROUP:
      self.flush()

  def flush(self) -> None:
    """Writes the rows that are pending."""
    import pyarrow

    if self._pending:
      rows = pyarrow.concat_tables(self._pending)
      self._parquet.write_table(rows, row_group_size=_ROWS_PER_GROUP)
      self._pending = []


@dataclasses.dataclass(frozen=True)
class Summary:
  """What a conversion read, kept and left out.

  Attributes:
    recordings: path of the recordings table.
    listening_log: path of the listening log.
    counts: by name.
  """

  recordings: str
  listening_log: str
  counts: dict[str, int]


class TextCollector:
  """Texts of recordings that a dump gives with every event.

  The first event of a recording counts.
  """

  def __init__(self, audio: audio_index.AudioIndex) -> None:
    self._audio = audio
    self._seen = np.zeros(len(audio.entries), np.bool_)
    self._texts: dict[int, tuple[str, ...]] = {}

  def add(
    self, positions: npt.NDArray[np.int64], columns: Sequence[Any]
  ) -> None:
    """Takes the texts of recordings that were not seen before.

    Args:
      positions: int64 [rows], -1 where there is no audio.
      columns: Arrow arrays [rows], binary: title, artist, description.
    """
    rows = np.flatnonzero(positions >= 0)
    rows = rows[~self._seen[positions[rows]]]
    new, first = np.unique(positions[rows], return_index=True)
    self._seen[new] = True
    for position, row in zip(new.tolist(), rows[first].tolist(), strict=True):
      values = (column[row].as_py() or b"" for column in columns)
      texts = tuple(value.decode("utf-8", "replace") for value in values)
      self._texts[position] = texts

  def write(self, conversion: Conversion) -> None:
    """Writes the recordings: those seen, and those the user has a title of."""
    for position, entry in enumerate(self._audio.entries):
      texts = self._texts.get(position)
      if texts is None and not entry.title:
        conversion.counts["recordings_without_events"] += 1
        continue
      title, artist, description = texts or ("", "", "")
      conversion.add_recording(
        position, title=title, artist=artist, description=description
      )


@contextlib.contextmanager
def writing(output: str, audio: audio_index.AudioIndex) -> Iterator[Conversion]:
  """Writes recordings table, listening log and report, whole or not at all.

  Args:
    output: directory; made where missing.
    audio: the audio that the user has.

  Yields:
    What to add to.

  Raises:
    DataError: no recording, or no row of the log, could be kept.
  """
  import pyarrow.parquet

  files.require_local(output, "output")
  files.make_dirs(output)
  with (
    files.atomic_write(files.join(output, LISTENING_LOG)) as log,
    files.atomic_write(files.join(output, RECORDINGS_TABLE), "w") as table,
    tqdm.tqdm(desc="log", unit="row", unit_scale=True) as bar,
    pyarrow.parquet.ParquetWriter(
      # Without Arrow's schema a reader gets plain strings.
      log,
      _schema(),
      compression="zstd",
      store_schema=False,
    ) as parquet,
  ):
    conversion = Conversion(output, audio, parquet, table, bar)
    yield conversion
    conversion.flush()
    _check(conversion)
  files.write_json(
    files.join(output, REPORT),
    {
      "counts": dict(sorted(conversion.counts.items())),
      "broken": [list(entry) for entry in conversion.broken],
    },
  )


def finished(output: str, conversion: Conversion) -> Summary:
  """The summary of a conversion after `writing`."""
  return Summary(
    recordings=files.join(output, RECORDINGS_TABLE),
    listening_log=files.join(output, LISTENING_LOG),
    counts=dict(sorted(conversion.counts.items())),
  )


def _check(conversion: Conversion) -> None:
  counts = conversion.counts
  found = f"{counts['audio_files']} audio files"
  if not counts["recordings"]:
    raise errors.DataError(
      f"not one of {found} is of a recording that the dump knows: are they"
      " named by the corpus's ids?"
    )
  if not counts["log_rows_kept"]:
    raise errors.DataError(
      f"not one of {counts['log_rows']} rows of the listening log is of one"
      f" of {found}, or none could be used"
    )


def _schema() -> Any:
  import pyarrow

  return pyarrow.schema(
    [
      ("user_id", pyarrow.string()),
      ("recording_id", pyarrow.string()),
      ("count", pyarrow.int64()),
    ]
  )


def _clean(text: str) -> str:
  """Lines kept apart, other white space made one space."""
  lines = (" ".join(line.split()) for line in text.splitlines())
  return "\n".join(line for line in lines if line)


def _texts(values: Any) -> Any:
  """Binary to strings; what is not UTF-8 becomes null."""
  import pyarrow

  try:
    return values.cast(pyarrow.string())
  except pyarrow.ArrowInvalid:
    return pyarrow.array([_decoded(v) for v in values.to_pylist()], "string")


def _decoded(value: bytes | None) -> str | None:
  try:
    return None if value is None else value.decode()
  except UnicodeDecodeError:
    return None


def _integers(values: Any) -> npt.NDArray[np.int64]:
  """Binary to integers; 0 for what is no positive integer."""
  import pyarrow

  try:
    integers = values.cast(pyarrow.string()).cast(pyarrow.int64())
    return integers.fill_null(0).to_numpy(zero_copy_only=False)
  except pyarrow.ArrowInvalid:
    return np.array([_integer(v) for v in values.to_pylist()], np.int64)


def _integer(value: bytes | None) -> int:
  try:
    number = float(value or b"0")
  except ValueError:
    return 0
  return int(number) if 0 < number < 1 << 53 and number.is_integer() else 0
