"""Parts of an embedding folder: parquet files of some recordings each.

A part is `recordings-NNNNN.parquet`, and beside it `windows-NNNNN.parquet`
where windows are kept; the latter is written first, so a part whose
recordings are there is whole. Under the key `music_embed` of its schema's
metadata lies JSON: the format, what made the vectors (`embedded.Maker`), and
the files of the part that could not be embedded.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.records import embedded

FORMAT = "music_embed.embeddings/1"
_KEY = b"music_embed"
_NAME = re.compile(r"(recordings|windows)-(\d{5,})\.parquet")


def recordings_file(number: int) -> str:
  """Name of a part's recordings."""
  return f"recordings-{number:05d}.parquet"


def windows_file(number: int) -> str:
  """Name of a part's windows."""
  return f"windows-{number:05d}.parquet"


def numbers(directory: str) -> list[int]:
  """Numbers of the whole parts that lie in a folder, ascending."""
  return sorted(_numbers(directory)["recordings"])


def remove_leftovers(directory: str) -> None:
  """Deletes what calls that were killed have left half written or deleted."""
  files.remove_leftovers(directory)
  found = _numbers(directory)
  for number in found["windows"] - found["recordings"]:
    os.unlink(files.join(directory, windows_file(number)))


def _numbers(directory: str) -> dict[str, set[int]]:
  found: dict[str, set[int]] = {"recordings": set(), "windows": set()}
  for match in map(_NAME.fullmatch, os.listdir(directory)):
    if match:
      found[match[1]].add(int(match[2]))
  return found


def write(
  directory: str,
  number: int,
  maker: embedded.Maker,
  recordings: Sequence[embedded.Embedded],
  rejected: Sequence[embedded.Rejected],
) -> None:
  """Writes a part: whole or not at all."""
  import pyarrow as pa

  if maker.level == "windows":
    starts = [row.start_s for row in recordings]
    ids = [row.source.id for row in recordings for _ in row.start_s]
    columns = {
      "id": pa.array(ids, pa.string()),
      "start_s": pa.array(np.concatenate([np.zeros(0), *starts])),
      "vector": _lists([row.window_vectors for row in recordings], maker.dim),
    }
    _write_table(files.join(directory, windows_file(number)), pa.table(columns))
  table = pa.table(
    {
      "id": pa.array([row.source.id for row in recordings], pa.string()),
      "audio": pa.array([row.source.audio for row in recordings], pa.string()),
      "title": pa.array([row.title for row in recordings], pa.string()),
      "artist": pa.array([row.artist for row in recordings], pa.string()),
      "duration_s": pa.array([row.duration_s for row in recordings], "f8"),
      "windows": pa.array([len(row.start_s) for row in recordings], pa.int32()),
      "flags": pa.array(
        [list(row.flags) for row in recordings], pa.list_(pa.string())
      ),
      "vector": _lists([row.vector[None] for row in recordings], maker.dim),
      "labels": pa.array(
        [list(row.labels) for row in recordings], pa.list_(pa.string())
      ),
      "scores": pa.array(
        [list(row.scores) for row in recordings], pa.list_(pa.float32())
      ),
      "size_bytes": pa.array(
        [row.source.size_bytes for row in recordings], pa.int64()
      ),
      "mtime_ns": pa.array(
        [row.source.mtime_ns for row in recordings], pa.int64()
      ),
    }
  )
  _write_recordings(directory, number, maker, table, rejected)


def read(directory: str, number: int) -> embedded.Part:
  """Reads what a part holds, without its vectors.

  Raises:
    DataError: it is damaged, or of another format.
  """
  path = files.join(directory, recordings_file(number))
  columns = ("id", "audio", "title", "artist", "duration_s", "windows")
  table = read_table(path, (*columns, "size_bytes", "mtime_ns"))
  maker, rejected = _described(path, table.schema)
  rows = table.to_pylist()
  return embedded.Part(number, maker, tuple(map(_stored, rows)), rejected)


def rewrite(
  directory: str,
  part: embedded.Part,
  number: int,
  *,
  keep: Sequence[int],
  rejected: Sequence[embedded.Rejected],
  changed: Mapping[int, embedded.Stored],
) -> None:
  """Writes a part's rows as another part.

  Args:
    directory: of both.
    part: whose rows.
    number: of the part to write.
    keep: which rows, ascending.
    rejected: files that could not be embedded, of the new part.
    changed: rows whose audio path, title or artist is another now.

  Raises:
    DataError: the part is damaged.
  """
  import pyarrow as pa
  import pyarrow.compute

  path = files.join(directory, recordings_file(part.number))
  table = read_table(path)
  if part.maker.level == "windows":
    names = [part.stored[row].source.id for row in keep]
    windows = read_table(files.join(directory, windows_file(part.number)))
    wanted = pa.compute.is_in(
      windows["id"], value_set=pa.array(names, pa.string())
    )
    _write_table(
      files.join(directory, windows_file(number)), windows.filter(wanted)
    )
  rows = [changed.get(row, part.stored[row]) for row in range(len(part.stored))]
  for name, values in (
    ("audio", [row.source.audio for row in rows]),
    ("title", [row.title for row in rows]),
    ("artist", [row.artist for row in rows]),
  ):
    place = table.schema.get_field_index(name)
    table = table.set_column(place, name, pa.array(values, pa.string()))
  kept = table.take(pa.array(keep, pa.int64()))
  _write_recordings(directory, number, part.maker, kept, rejected)


def remove(directory: str, number: int) -> None:
  """Deletes a part, its recordings first: what remains is no part."""
  for name in (recordings_file(number), windows_file(number)):
    path = files.join(directory, name)
    if os.path.exists(path):
      os.unlink(path)


def read_table(path: str, columns: Sequence[str] | None = None) -> Any:
  """A parquet file as an Arrow table; raises DataError."""
  import pyarrow as pa
  import pyarrow.parquet

  try:
    with pa.parquet.ParquetFile(path) as file:
      return file.read(columns=None if columns is None else list(columns))
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except (pa.ArrowException, OSError, KeyError) as error:
    raise damaged(path, error) from error


def damaged(path: str, error: object) -> errors.DataError:
  """What to say of a file of the folder that cannot be used."""
  reason = " ".join(str(error).split())[:200]
  return errors.DataError(
    f"{path}: damaged ({reason}): delete it and run launch/embed.py again"
  )


def matrix(path: str, column: Any, dim: int) -> npt.NDArray[np.float32]:
  """A column of vectors as float32 [rows, dim]; raises DataError."""
  parts = getattr(column, "chunks", [column])
  flat = [part.flatten().to_numpy(zero_copy_only=False) for part in parts]
  values = np.concatenate([np.zeros(0, np.float32), *flat])
  if len(values) != len(column) * dim or not np.isfinite(values).all():
    raise damaged(path, f"not {len(column)} vectors of {dim} numbers")
  return values.astype(np.float32, copy=False).reshape(len(column), dim)


def check(path: str, schema: Any, maker: embedded.Maker) -> None:
  """Raises DataError unless a part was made by this maker."""
  if _described(path, schema)[0] != maker:
    raise damaged(path, "made by another model, or with other options")


def rejected_lines(rejected: Sequence[embedded.Rejected]) -> Iterator[str]:
  """Lines of `rejected.jsonl`."""
  for file in rejected:
    value = {
      "id": file.source.id,
      "audio": file.source.audio,
      "reason": file.reason,
    }
    yield json.dumps(value, ensure_ascii=False) + "\n"


def _lists(blocks: Sequence[npt.NDArray[np.float32]], dim: int) -> Any:
  """[rows, dim] blocks as one column of lists of float32."""
  import pyarrow as pa

  values = np.concatenate([np.zeros((0, dim), np.float32), *blocks])
  offsets = np.arange(len(values) + 1, dtype=np.int32) * dim
  return pa.ListArray.from_arrays(
    pa.array(offsets, pa.int32()), pa.array(values.reshape(-1), pa.float32())
  )


def _write_recordings(
  directory: str,
  number: int,
  maker: embedded.Maker,
  table: Any,
  rejected: Sequence[embedded.Rejected],
) -> None:
  described = {
    "format": FORMAT,
    "maker": dataclasses.asdict(maker),
    "rejected": [dataclasses.asdict(file) for file in rejected],
  }
  text = json.dumps(described, sort_keys=True, ensure_ascii=False)
  table = table.replace_schema_metadata({_KEY: text.encode()})
  _write_table(files.join(directory, recordings_file(number)), table)


def _write_table(path: str, table: Any) -> None:
  import pyarrow.parquet

  with files.atomic_write(path) as file:
    pyarrow.parquet.write_table(
      table, file, compression="zstd", use_dictionary=False
    )


def _described(
  path: str, schema: Any
) -> tuple[embedded.Maker, tuple[embedded.Rejected, ...]]:
  try:
    described = json.loads((schema.metadata or {})[_KEY])
    if described["format"] != FORMAT:
      raise ValueError(f"format {described['format']!r}, not {FORMAT!r}")
    rejected = tuple(
      embedded.Rejected(embedded.Source(**file["source"]), file["reason"])
      for file in described["rejected"]
    )
    return embedded.Maker(**described["maker"]), rejected
  except (KeyError, TypeError, ValueError) as error:
    raise damaged(path, error) from error


def _stored(row: dict[str, Any]) -> embedded.Stored:
  source = embedded.Source(
    row["id"], row["audio"], row["size_bytes"], row["mtime_ns"]
  )
  return embedded.Stored(
    source, row["title"], row["artist"], row["duration_s"], row["windows"]
  )
