"""Delimited tables of 10^8 rows, batch by batch, in Arrow arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from music_embed.core import errors

_BLOCK_BYTES = 4 << 20


def read_batches(
  name: str,
  file: Any,
  columns: Sequence[str],
  *,
  header: bool,
  on_broken: Callable[[str, int, str], None],
) -> Iterator[dict[str, Any]]:
  """Reads a tab-separated table without quoting.

  Args:
    name: of the file, for messages.
    file: open binary file.
    columns: with a header, the columns wanted; without, all columns in their
      order.
    header: whether the first line names the columns.
    on_broken: told name, line and reason of rows with another number of
      fields; they are left out.

  Yields:
    Binary Arrow arrays by column.

  Raises:
    DataError: not such a table, or a column is missing; names the columns
      that are there.
  """
  import pyarrow
  import pyarrow.csv

  names, first_line = list(columns), 1
  if header:
    line = file.readline().decode("utf-8-sig", "replace")
    names, first_line = line.rstrip("\r\n").split("\t"), 2
    _check(name, names, columns)

  def skip(row: Any) -> str:
    reason = f"{row.actual_columns} fields in place of {row.expected_columns}"
    on_broken(name, row.number + first_line - 1, reason)
    return "skip"

  try:
    reader = pyarrow.csv.open_csv(
      pyarrow.PythonFile(file, mode="r"),
      read_options=pyarrow.csv.ReadOptions(
        # Only a reader without threads knows the numbers of the rows.
        use_threads=False,
        block_size=_BLOCK_BYTES,
        column_names=names,
      ),
      parse_options=pyarrow.csv.ParseOptions(
        delimiter="\t", quote_char=False, invalid_row_handler=skip
      ),
      convert_options=pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pyarrow.binary()),
        include_columns=list(columns),
      ),
    )
    for batch in reader:
      yield {column: batch.column(column) for column in columns}
  except pyarrow.ArrowInvalid as error:
    raise errors.DataError(
      f"{name}: not a tab-separated table ({error})"
    ) from error


def _check(name: str, names: Sequence[str], columns: Sequence[str]) -> None:
  missing = [column for column in columns if column not in names]
  if missing:
    raise errors.DataError(
      f"{name}: no column {', '.join(missing)}; its columns are"
      f" {', '.join(names)}"
    )
