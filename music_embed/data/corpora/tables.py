"""Rows of csv, tsv, jsonl and parquet tables, gzipped or not."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

from music_embed.core import errors

_MAX_FIELD_CHARACTERS = 1 << 24


@dataclasses.dataclass(frozen=True)
class Row:
  """One row of a table.

  Attributes:
    number: its line in a text file (the header of a csv is line 1), its
      position from 1 in a parquet file.
    values: the columns that were asked for, as text, surrounding space
      removed; empty where missing.
    problem: why the row cannot be used, or empty.
    num_lines: lines that it takes; several where a csv field is quoted.
  """

  number: int
  values: dict[str, str]
  problem: str = ""
  num_lines: int = 1


def table_format(path: str) -> str:
  """One of "csv", "tsv", "jsonl", "parquet", by the file's name.

  Raises:
    DataError: the name says none of them.
  """
  name = path.lower().removesuffix(".gz")
  for suffix in ("csv", "tsv", "jsonl", "parquet"):
    gzipped_parquet = suffix == "parquet" and path.lower().endswith(".gz")
    if name.endswith(f".{suffix}") and not gzipped_parquet:
      return suffix
  raise errors.DataError(
    f"{path}: not a table that can be read: its name must end with .csv, .tsv,"
    " .jsonl (each also .gz) or .parquet"
  )


def row_groups(path: str) -> list[int]:
  """Rows of each row group of a parquet file; empty for other formats.

  Raises:
    DataError: as `read_rows`.
  """
  if table_format(path) != "parquet":
    return []
  with _parquet_file(path) as file:
    groups = range(file.metadata.num_row_groups)
    return [file.metadata.row_group(group).num_rows for group in groups]


def read_rows(
  path: str,
  *,
  required: Sequence[str],
  optional: Sequence[str] = (),
  row_groups: range | None = None,
) -> Iterator[Row]:
  """Reads a table row by row.

  Args:
    path: a local file; its name says its format.
    required: columns that must be there.
    optional: columns that may be there; others are ignored.
    row_groups: of a parquet file, only these.

  Yields:
    Rows in order, those with a problem too: the caller decides whether they
    are an error.

  Raises:
    DataError: no such file, not of its format, or a required column is
      missing; names the file and the columns that are there.
  """
  kind = table_format(path)
  wanted = [*required, *optional]
  try:
    if kind == "parquet":
      yield from _parquet_rows(path, required, wanted, row_groups)
      return
    with _open_text(path) as file:
      if kind == "jsonl":
        yield from _jsonl_rows(path, file, required, wanted)
      else:
        delimiter = "," if kind == "csv" else "\t"
        yield from _csv_rows(path, file, delimiter, required, wanted)
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except (OSError, EOFError) as error:
    raise errors.DataError(f"{path}: cannot be read ({error})") from error


def _open_text(path: str) -> IO[str]:
  opener = gzip.open if path.lower().endswith(".gz") else open
  # Bytes that are no UTF-8 must be blamed on their row, not on the file.
  return opener(
    path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=""
  )


def _check_columns(
  path: str, columns: Sequence[str], required: Sequence[str]
) -> None:
  missing = [name for name in required if name not in columns]
  if missing:
    raise errors.DataError(
      f"{path}: no column {', '.join(missing)}; its columns are"
      f" {', '.join(columns) or 'none'}"
    )
  twice = {name for name in columns if columns.count(name) > 1}
  if twice:
    raise errors.DataError(
      f"{path}: several columns are called {', '.join(sorted(twice))}"
    )


def _csv_rows(
  path: str,
  file: IO[str],
  delimiter: str,
  required: Sequence[str],
  wanted: Sequence[str],
) -> Iterator[Row]:
  csv.field_size_limit(_MAX_FIELD_CHARACTERS)
  reader = csv.reader(file, delimiter=delimiter)
  header: list[str] | None = None
  places: dict[str, int] = {}
  while True:
    number = reader.line_num + 1
    try:
      cells = next(reader)
    except StopIteration:
      break
    except csv.Error as error:
      yield Row(number, {}, str(error), reader.line_num - number + 1)
      continue
    if not cells:
      continue
    num_lines = reader.line_num - number + 1
    if header is None:
      header = [name.strip() for name in cells]
      _check_columns(path, header, required)
      places = {n: header.index(n) for n in wanted if n in header}
    elif len(cells) != len(header):
      problem = f"{len(cells)} fields, but the header has {len(header)}"
      if num_lines > 1:
        problem += f"; a quote takes it to line {reader.line_num}"
      yield Row(number, {}, problem, num_lines)
    else:
      values = {name: cells[place].strip() for name, place in places.items()}
      yield _checked(number, values, num_lines)
  if header is None:
    raise errors.DataError(f"{path}: empty, not even a header")


def _jsonl_rows(
  path: str, file: IO[str], required: Sequence[str], wanted: Sequence[str]
) -> Iterator[Row]:
  seen: set[str] = set()
  first: list[str] = []
  for number, line in enumerate(file, 1):
    if not line.strip():
      continue
    try:
      record = json.loads(line)
    except (ValueError, RecursionError):
      yield Row(number, {}, "not JSON")
      continue
    if not isinstance(record, dict):
      yield Row(number, {}, "not a JSON object")
      continue
    first = first or list(record)
    seen.update(record)
    try:
      values = {n: _text(record[n]) for n in wanted if n in record}
    except TypeError as error:
      yield Row(number, {}, str(error))
      continue
    # JSON writers often leave absent values out, so a key may miss in a row.
    yield _checked(number, {n: values.get(n, "") for n in required} | values)
  if any(name not in seen for name in required):
    _check_columns(path, first, required)


@contextlib.contextmanager
def _parquet_file(path: str) -> Iterator[Any]:
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError as error:  # Its binary may not fit the numpy installed.
    raise errors.DataError(
      f"{path}: parquet cannot be read in this environment ({error})"
    ) from error
  try:
    with pyarrow.parquet.ParquetFile(path) as file:
      yield file
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except pyarrow.ArrowException as error:
    raise errors.DataError(f"{path}: not a parquet file ({error})") from error


def _parquet_rows(
  path: str,
  required: Sequence[str],
  wanted: Sequence[str],
  groups: range | None,
) -> Iterator[Row]:
  with _parquet_file(path) as file:
    columns = file.schema_arrow.names
    _check_columns(path, columns, required)
    present = [name for name in wanted if name in columns]
    groups = range(file.metadata.num_row_groups) if groups is None else groups
    number = sum(
      file.metadata.row_group(group).num_rows for group in range(groups.start)
    )
    for batch in file.iter_batches(
      batch_size=65_536, columns=present, row_groups=list(groups)
    ):
      for record in batch.to_pylist():
        number += 1
        try:
          values = {name: _text(record[name]) for name in present}
        except TypeError as error:
          yield Row(number, {}, str(error))
          continue
        yield _checked(number, values)


def _text(value: object) -> str:
  if value is None:
    return ""
  if isinstance(value, float):
    if value != value:
      return ""  # pandas writes missing text as NaN.
    return str(int(value)) if value.is_integer() else repr(value)
  if isinstance(value, str | int) and not isinstance(value, bool):
    return str(value).strip()
  raise TypeError(f"a value of type {type(value).__name__}")


def _checked(number: int, values: dict[str, str], num_lines: int = 1) -> Row:
  for name, value in values.items():
    if not value.isascii():
      try:
        value.encode()
      except UnicodeEncodeError:
        return Row(number, {}, f"{name} is not UTF-8", num_lines)
  return Row(number, values, num_lines=num_lines)
