"""The same page from files, without any server."""

import pathlib
from collections.abc import Callable
from urllib import parse

import pytest
from page_world import MISSING, SIZE, Watched, World
from playwright import sync_api

from music_embed.retrieval import playlist, search

Look = Callable[..., Watched]
expect = sync_api.expect


@pytest.fixture
def seen(look: Look, static_page: pathlib.Path) -> Watched:
  return look(static_page.as_uri())


def _asked(page: sync_api.Page, call: str) -> object:
  """What the page's own backend answers to a call."""
  return page.evaluate(f"async () => MusicMap.page.backend.{call}")


_QUERIES = (
  "piano",
  "bebop",
  "1_bebop",
  "Hard  Bop",
  "hard bop drums",
  "+piano -drums",
  "- bebop + 'hard bop'",
  "tones/06 tone.ogg",
  "'tones/06 tone.ogg' -piano",
  "word:hard +id:'tones/07 tone.mp3'",
)


def test_queries_are_answered_as_the_index_answers_them(
  seen: Watched, world: World
) -> None:
  searcher = search.Searcher(world.index)
  for query in _QUERIES:
    wanted = searcher.search(query, k=SIZE)
    found = _asked(seen.page, f"search({query!r}, {{k: {SIZE}}})")
    assert isinstance(found, dict)
    assert [
      (part["text"], part["kind"], part["sign"], part["labels"])
      for part in found["understood"]
    ] == [
      (part.text, part.kind, part.sign, part.labels)
      for part in wanted.understood
    ]
    scores = {hit["row"]: hit["score"] for hit in found["hits"]}
    assert scores.keys() == {hit.row for hit in wanted.hits}
    for hit in wanted.hits:  # Vectors are rounded to eight bits.
      assert scores[hit.row] == pytest.approx(hit.score, abs=0.02)
    assert sorted(scores.values(), reverse=True) == [
      hit["score"] for hit in found["hits"]
    ]


def test_queries_that_say_nothing_are_refused(seen: Watched) -> None:
  page = seen.page
  for query, told in (
    ("beboop", "beboop"),
    ("-piano", "not wanted"),
    ("+ +", "nothing follows"),
    ("''", "empty pair"),
  ):
    page.fill("#query", query)
    page.press("#query", "Enter")
    expect(page.get_by_role("alert")).to_contain_text(told)


def test_neighbours_and_paths_are_the_indexes(
  seen: Watched, world: World
) -> None:
  near = _asked(seen.page, "neighbors(6, {k: 10, otherArtists: true})")
  assert isinstance(near, dict)
  wanted = search.Searcher(world.index).near(6, k=10, exclude_same_artist=True)
  scores = {hit.row: hit.score for hit in wanted.hits}
  for hit, other in zip(near["hits"], wanted.hits, strict=True):
    assert hit["score"] == pytest.approx(other.score, abs=0.02)
    assert not {6, 7, 8} & {hit["row"]}
  assert scores
  for start, end, length in ((1, 20, 12), (4, 4, 5), (2, 30, 2)):
    rows = _asked(seen.page, f"path({start}, {end}, {{length: {length}}})")
    exact = playlist.path(world.index, start, end, length=length)
    assert isinstance(rows, list)
    assert (rows[0], rows[-1] if start != end else end) == (start, end)
    assert len(rows) == len(set(rows))
    # Rounding may let neighbours change places, no more.
    assert len(set(rows) & set(exact)) >= 0.6 * len(exact)


def test_sounds_play_from_where_they_lie_and_nothing_is_asked_for(
  seen: Watched, world: World
) -> None:
  page = seen.page
  page.evaluate("MusicMap.page.pick(7)")
  page.wait_for_function("document.querySelector('audio').currentTime > 0.15")
  source = page.locator("audio").get_attribute("src")
  assert source == world.audio[7].as_uri()
  assert {parse.urlsplit(url).scheme for url in seen.asked} <= {
    "file", "data", "blob"
  }  # fmt: skip


def test_playlists_are_made_in_the_page(seen: Watched, world: World) -> None:
  page = seen.page
  page.evaluate("MusicMap.page.views.go({kind: 'path', from: 1, to: 20,"
                " length: 6})")  # fmt: skip
  expect(page.locator("#title")).to_have_text("From Song 1 to Song 20")
  rows = page.evaluate("MusicMap.page.list.rows")
  with page.expect_download() as started:
    page.get_by_role("link", name="Download .m3u").click()
  assert started.value.suggested_filename == "playlist.m3u"
  written = pathlib.Path(started.value.path()).read_text(encoding="utf-8")
  there = [row for row in rows if row != MISSING]
  assert written == playlist.m3u(playlist.entries(world.index, there))


def test_it_says_that_it_cannot_listen(seen: Watched) -> None:
  page = seen.page
  expect(page.locator("#sound")).to_be_hidden()
  page.evaluate("""() => {
    const carried = new DataTransfer();
    carried.items.add(new File(['x'], 'song.mp3'));
    document.body.dispatchEvent(new DragEvent('drop', {
      bubbles: true, cancelable: true, dataTransfer: carried}));
  }""")
  expect(page.get_by_role("alert")).to_contain_text("launch/explore.py")
