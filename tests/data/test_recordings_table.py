"""The recordings table is taken whole or refused by row."""

import pathlib

import pytest

from music_embed.core import errors
from music_embed.data.corpora import recordings

_HEADER = "recording_id,audio,title,description,artist,music_share\n"


def _read(path: pathlib.Path, rows: str) -> list[recordings.Recording]:
  table = path / "recordings.csv"
  table.write_text(_HEADER + rows)
  return recordings.read_recordings(str(table))


def test_rows_become_recordings(tmp_path: pathlib.Path) -> None:
  found = _read(tmp_path, "a,x.wav,Title,Text,Artist,0.4\nb,y.wav,,,,\n")
  assert found == [
    recordings.Recording("a", "x.wav", "Title", "Text", "Artist", 0.4),
    recordings.Recording("b", "y.wav", "", "", "", None),
  ]


def test_optional_columns_may_be_absent(tmp_path: pathlib.Path) -> None:
  table = tmp_path / "t.tsv"
  table.write_text("title\taudio\trecording_id\tdescription\nT\ta.wav\t1\tD\n")
  assert recordings.read_recordings(str(table)) == [
    recordings.Recording("1", "a.wav", "T", "D")
  ]


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    ("a,x.wav,,,,\n ,y.wav,,,,\n", "row 3: recording_id is empty"),
    ("a,x,,,,\nb,x,,,,\na,x,,,,\n", "row 4: .*'a' is already that of row 2"),
    ("a,,,,,\n", "row 2: audio is empty"),
    ("a,x,,,,2\n", "row 2: music_share is '2'"),
    ("a,x,,,,nan\n", "row 2: music_share"),
    ("a,x,,,,some\n", "row 2: music_share"),
    ("a,x,,,\n", "row 2: 5 fields, but the header has 6"),
    ("", "holds no recordings"),
  ],
)
def test_a_senseless_row_is_named(
  tmp_path: pathlib.Path, rows: str, message: str
) -> None:
  with pytest.raises(errors.DataError, match=rf"recordings\.csv.*{message}"):
    _read(tmp_path, rows)


def test_relative_audio_starts_at_the_table() -> None:
  relative = recordings.Recording("a", "audio/x.wav", "", "")
  absolute = recordings.Recording("a", "/audio/x.wav", "", "")
  table = "/corpus/t.csv"
  assert recordings.audio_path(table, relative) == "/corpus/audio/x.wav"
  assert recordings.audio_path(table, absolute) == "/audio/x.wav"
