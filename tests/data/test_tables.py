"""Tables in every format, and the rows that cannot be used."""

import csv
import gzip
import json
import pathlib
from collections.abc import Mapping, Sequence

import pytest

from music_embed.core import errors
from music_embed.data.corpora import tables

_COLUMNS = ("id", "text", "extra", "share")
_ROWS = [
  ("1", 'quoted "text", with\nnewline', "e", "0.5"),
  ("b", "tab\there", "e", ""),
  ("ü", "音楽", "", "1"),
]
_FORMATS = [
  "csv",
  "tsv",
  "jsonl",
  "csv.gz",
  "tsv.gz",
  "jsonl.gz",
  "parquet",
]


def _write_parquet(
  path: pathlib.Path, columns: Mapping[str, Sequence[object]]
) -> None:
  import pyarrow  # The other formats are tested where it does not load.
  import pyarrow.parquet

  pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _write(path: pathlib.Path, kind: str) -> None:
  if kind == "parquet":
    columns = dict(zip(_COLUMNS, zip(*_ROWS, strict=True), strict=True))
    _write_parquet(path, columns)
    return
  opener = gzip.open if kind.endswith(".gz") else open
  with opener(path, "wt", encoding="utf-8", newline="") as file:
    if kind.startswith("jsonl"):
      for row in _ROWS:
        record = dict(zip(_COLUMNS, row, strict=True))
        file.write(json.dumps(record) + "\n")
    else:
      delimiter = "," if kind.startswith("csv") else "\t"
      writer = csv.writer(file, delimiter=delimiter)
      writer.writerows([_COLUMNS, *_ROWS])


def _read(path: pathlib.Path) -> list[tables.Row]:
  return list(
    tables.read_rows(
      str(path), required=("text", "id"), optional=("share", "absent")
    )
  )


@pytest.mark.parametrize("kind", _FORMATS)
def test_every_format_gives_the_same_rows(
  tmp_path: pathlib.Path, kind: str
) -> None:
  path = tmp_path / f"table.{kind}"
  _write(path, kind)
  expected = [{"id": i, "text": t, "share": s} for i, t, _, s in _ROWS]
  assert [row.values for row in _read(path)] == expected


def test_numbers_and_missing_values_become_text(
  tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / "table.parquet"
  columns = {"id": [1, 2], "text": [None, "x"], "share": [1.0, float("nan")]}
  _write_parquet(path, columns)
  assert [row.values for row in _read(path)] == [
    {"id": "1", "text": "", "share": "1"},
    {"id": "2", "text": "x", "share": ""},
  ]


def test_a_byte_order_mark_and_empty_lines_do_no_harm(
  tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / "table.csv"
  path.write_bytes(b"\xef\xbb\xbfid,text\n\n 1 , x \n\n")
  rows = _read(path)
  assert [(row.number, row.values) for row in rows] == [
    (3, {"id": "1", "text": "x"})
  ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_named_beside_those_that_are_there(
  tmp_path: pathlib.Path, kind: str
) -> None:
  path = tmp_path / f"table.{kind}"
  _write(path, kind)
  with pytest.raises(
    errors.DataError, match=r"table.*no column user; .* id, text, extra, share"
  ):
    list(tables.read_rows(str(path), required=("id", "user")))


def test_ragged_rows_carry_their_line(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "table.csv"
  path.write_text('id,text\n1,"two\nlines"\n2\n3,x,y\n4,z\n')
  rows = _read(path)
  assert [(row.number, row.problem) for row in rows] == [
    (2, ""),
    (4, "1 fields, but the header has 2"),
    (5, "3 fields, but the header has 2"),
    (6, ""),
  ]


def test_broken_json_lines_carry_their_line(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "table.jsonl"
  path.write_text(
    '{"id": 1, "text": "a"}\n{"id": \n[1]\n{"id": {}, "text": ""}\n{"id": 5}\n'
  )
  rows = _read(path)
  assert [(row.number, row.problem) for row in rows] == [
    (1, ""),
    (2, "not JSON"),
    (3, "not a JSON object"),
    (4, "a value of type dict"),
    (5, ""),
  ]
  assert rows[4].values == {"id": "5", "text": ""}


def test_a_row_in_another_encoding_is_blamed_alone(
  tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / "table.csv"
  path.write_bytes("id,text\n1,é\n2,".encode() + b"\xe9\n3,x\n")
  assert [row.problem for row in _read(path)] == ["", "text is not UTF-8", ""]


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("table.xlsx", b"", "its name must end with"),
    ("table.parquet.gz", b"", "its name must end with"),
    ("table.csv", b"", "empty, not even a header"),
    ("table.csv", b"id,text,id\n", "several columns are called id"),
    ("table.csv.gz", b"id,text\n", "cannot be read"),
    ("table.parquet", b"PAR1", "not a parquet file"),
  ],
)
def test_a_file_that_is_no_table_is_refused_by_name(
  tmp_path: pathlib.Path, name: str, content: bytes, message: str
) -> None:
  path = tmp_path / name
  path.write_bytes(content)
  with pytest.raises(errors.DataError, match=f"{name}.*{message}"):
    _read(path)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
  for kind in ("csv", "parquet"):
    with pytest.raises(errors.DataError, match="nowhere.*no such file"):
      _read(tmp_path / f"nowhere.{kind}")


def test_a_gzip_file_that_was_cut_is_refused(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "table.csv.gz"
  _write(path, "csv.gz")
  path.write_bytes(path.read_bytes()[:-12])
  with pytest.raises(errors.DataError, match=r"table\.csv\.gz: cannot be read"):
    _read(path)


def test_json_that_is_nested_too_deeply_is_a_broken_line(
  tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / "table.jsonl"
  path.write_text('{"id": "1", "text": "a"}\n' + "[" * 100_000 + "\n")
  assert [row.problem for row in _read(path)] == ["", "not JSON"]
