"""Answers as a person reads them, and queries that look like flags."""

import os
import pathlib

import pytest
import tiny_indexes

from music_embed.retrieval import build, search
from music_embed.retrieval import index as index_lib
from music_embed.serving import search_text


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> index_lib.Index:
  return tiny_indexes.make(tmp_path_factory.mktemp("index"))


def test_a_table_names_recordings_senses_and_labels(
  index: index_lib.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setenv("COLUMNS", "120")
  answer = search.Searcher(index).search("+bebop -drums", k=2)
  first, second = answer.hits
  assert search_text.drawn(index, answer).splitlines()[0] == (
    "+bebop -drums: +word bebop (0_bebop, 1_bebop), -word drums"
  )
  _, header, *rows = search_text.drawn(index, answer).splitlines()
  assert header.split() == ["score", "recording", "sense", "labels"]
  for place, (row, hit) in enumerate(zip(rows, (first, second), strict=True)):
    known = index.catalogue
    assert row.split() == [
      str(place + 1),
      f"{hit.score:.3f}",
      hit.id,
      *f"{known.artists[hit.row].strip()} - Title {hit.row}".split(),
      hit.via,
      "piano,",
      "drums",
    ]


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_table_is_no_wider_than_the_terminal(
  tmp_path: pathlib.Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
  some = tiny_indexes.recordings(5)
  some.titles[:] = ["ビバップの長い題名" * 6, "x" * 200, "a\tb\nc", "ok", ""]
  build.build(str(tmp_path), tiny_indexes.source(some))
  index = index_lib.Index.open(str(tmp_path))
  monkeypatch.setenv("COLUMNS", str(columns))
  answer = search.Searcher(index).search("piano", k=5)
  lines = search_text.drawn(index, answer).splitlines()
  assert len(lines) == 7
  assert max(map(search_text.width_of, lines[1:])) <= columns
  assert "\t" not in "".join(lines)


def test_nothing_found_is_said(index: index_lib.Index) -> None:
  answer = search.Searcher(index).search("piano", min_score=2)
  assert search_text.drawn(index, answer) == "piano: word piano\n  nothing"


def test_an_artist_is_not_named_twice(tmp_path: pathlib.Path) -> None:
  some = tiny_indexes.recordings(2)
  some.titles[:] = ["Artist 0 - So", "What"]
  build.build(str(tmp_path), tiny_indexes.source(some))
  index = index_lib.Index.open(str(tmp_path))
  text = search_text.drawn(index, search.Searcher(index).search("piano"))
  assert "Artist 0 - So" in text
  assert "Artist 0 - Artist 0" not in text
  assert "ARTIST 0 - What" in text


def test_json_has_what_is_known_of_each_recording(
  index: index_lib.Index,
) -> None:
  answer = search.Searcher(index).search("r4", k=1)
  (hit,) = search_text.to_json(index, answer)["hits"]
  row = hit["row"]
  assert hit == {
    "row": row,
    "id": f"r{row}",
    "score": answer.hits[0].score,
    "via": "",
    "title": f"Title {row}",
    "artist": index.catalogue.artists[row],
    "audio": os.path.abspath(f"/music/{row}.mp3"),
    "duration_s": 30.0 + row,
    "labels": [["piano", 0.5], ["drums", 0.25]],
  }


@pytest.mark.parametrize(
  ("arguments", "apart"),
  [
    (["--index=i", "-drums +piano"], ["--index=i", " -drums +piano"]),
    (["-drums", "-k", "3"], [" -drums", "-k", "3"]),
    (["-k=3", "--no"], ["-k=3", "--no"]),
    (["-", "--", "-drums"], ["-", "--", "-drums"]),
    (["-'live at' jazz"], [" -'live at' jazz"]),
  ],
)
def test_queries_are_not_taken_for_flags(
  arguments: list[str], apart: list[str]
) -> None:
  flags = {"k", "index"}
  assert search_text.with_queries_apart(arguments, flags.__contains__) == apart
