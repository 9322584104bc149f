"""Ways between two recordings, and playlists of them."""

import pathlib

import numpy as np
import pytest
import tiny_indexes

from music_embed.retrieval import build, entries, playlist
from music_embed.retrieval import index as index_lib


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> index_lib.Index:
  return tiny_indexes.make(tmp_path_factory.mktemp("index"), 300)


@pytest.mark.parametrize("length", [2, 3, 12])
def test_a_way_has_its_ends_and_no_recording_twice(
  index: index_lib.Index, length: int
) -> None:
  way = playlist.path(index, 4, 200, length=length)
  assert (way[0], way[-1]) == (4, 200)
  assert len(set(way)) == len(way) <= length


def test_recordings_along_an_arc_are_taken_in_order(
  tmp_path: pathlib.Path,
) -> None:
  angles = np.linspace(0, 2, 9)
  arc = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
  off = np.tile([[0, 0, 1.0]], (5, 1))
  order = np.random.default_rng(0).permutation(14)
  mixed = np.concatenate([arc, off])[order].astype(np.float32)
  some = entries.Entries.bare([str(n) for n in order], mixed)
  build.build(str(tmp_path), tiny_indexes.source(some, with_words=False))
  made = index_lib.Index.open(str(tmp_path))
  start, end = made.catalogue.row_of("0"), made.catalogue.row_of("8")
  assert start is not None
  assert end is not None
  way = playlist.path(made, start, end, length=5)
  assert [made.catalogue.ids[row] for row in way] == ["0", "2", "4", "6", "8"]
  whole = playlist.path(made, start, end, length=9)
  assert [made.catalogue.ids[row] for row in whole] == [*map(str, range(9))]


def test_steps_of_a_way_are_shorter_than_those_of_chance(
  index: index_lib.Index,
) -> None:
  def longest(way: list[int]) -> float:
    there = index.vectors[way]
    return float(1 - (there[1:] * there[:-1]).sum(axis=1).min())

  ways = [playlist.path(index, a, a + 150, length=8) for a in range(20)]
  rng = np.random.default_rng(1)
  drawn = [[way[0], *rng.choice(300, len(way) - 2), way[-1]] for way in ways]
  assert np.mean([*map(longest, ways)]) < 0.7 * np.mean([*map(longest, drawn)])


def test_from_a_recording_to_itself_goes_by_its_nearest(
  index: index_lib.Index,
) -> None:
  way = playlist.path(index, 7, 7, length=4)
  cosines = index.vectors @ index.vectors[7]
  assert way == [7, *[r for r in np.argsort(-cosines) if r != 7][:3]]


def test_a_tiny_catalogue_gives_what_it_has(tmp_path: pathlib.Path) -> None:
  index = tiny_indexes.make(tmp_path, 3)
  assert sorted(playlist.path(index, 0, 2, length=12)) == [0, 1, 2]
  assert playlist.path(index, 1, 1, length=12)[0] == 1


@pytest.mark.parametrize(
  ("start", "end", "length"), [(0, 300, 5), (-1, 3, 5), (0, 1, 1)]
)
def test_ways_that_cannot_be_are_refused(
  index: index_lib.Index, start: int, end: int, length: int
) -> None:
  with pytest.raises(ValueError, match="path"):
    playlist.path(index, start, end, length=length)


def test_a_playlist_names_title_seconds_and_file(
  index: index_lib.Index,
) -> None:
  text = playlist.m3u(playlist.entries(index, [2, 0]))
  assert text == (
    "#EXTM3U\n"
    "#EXTINF:32,Artist 0 - Title 2\n"
    "/music/2.mp3\n"
    "#EXTINF:30,Artist 0 - Title 0\n"
    "/music/0.mp3\n"
  )


def test_a_title_cannot_break_a_playlist() -> None:
  text = playlist.m3u([playlist.Entry("/a\nb.mp3", "x\r\n#EXTM3U")])
  assert text == "#EXTM3U\n#EXTINF:-1,x #EXTM3U\n/a b.mp3\n"
