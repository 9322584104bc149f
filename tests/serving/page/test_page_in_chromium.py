"""The map's page, served by launch/explore.py, in a real browser."""

import os
import pathlib
from collections.abc import Callable
from urllib import parse

import pytest
from page_world import MARKUP, MISSING, SIZE, Watched, World
from playwright import sync_api

from music_embed.retrieval import playlist, search

Look = Callable[..., Watched]
expect = sync_api.expect

_PLACE = """row => {
  const {map} = MusicMap.page;
  const {left, top} = map.surface.getBoundingClientRect();
  const [x, y] = map.camera.toScreen(map.points.x[row], map.points.y[row]);
  return [left + x, top + y];
}"""
_ALONE = """() => {
  const {points, camera} = MusicMap.page.map;
  const at = row => camera.toScreen(points.x[row], points.y[row]);
  const rows = [...points.x.keys()];
  const room = row => Math.min(...rows.filter(other => other !== row).map(
    other => Math.hypot(at(row)[0] - at(other)[0], at(row)[1] - at(other)[1])));
  return rows.sort((one, other) => room(other) - room(one));
}"""


@pytest.fixture(scope="module")
def searcher(world: World) -> search.Searcher:
  return search.Searcher(world.index)


def _rows(page: sync_api.Page) -> list[int]:
  options = page.locator("#list li")
  return [
    int(options.nth(place).get_attribute("data-row") or -1)
    for place in range(options.count())
  ]


def _heading(page: sync_api.Page, text: str) -> None:
  expect(page.locator("#title")).to_have_text(text)


def _search(page: sync_api.Page, query: str) -> list[int]:
  page.fill("#query", query)
  page.press("#query", "Enter")
  _heading(page, f"Near “{query}”")
  return _rows(page)


def _plays(page: sync_api.Page) -> None:
  """Waits until the sound advances."""
  page.wait_for_function("document.querySelector('audio').currentTime > 0.15")


def test_a_word_lists_the_recordings_that_the_index_finds(
  look: Look, server: str, searcher: search.Searcher
) -> None:
  page = look(server).page
  for query in ("piano", "bebop", "hard bop", "+piano -drums"):
    answer = searcher.search(query, k=50)
    assert _search(page, query) == [hit.row for hit in answer.hits]
    first = page.locator("#list li").first
    expect(first).to_contain_text(f"{abs(answer.hits[0].score):.2f}"[1:])
    if answer.hits[0].via:
      expect(first).to_contain_text(f"as {answer.hits[0].via}")
  assert parse.unquote_plus(parse.urlsplit(page.url).fragment) == (
    "q=+piano -drums"
  )


def test_nothing_is_loaded_from_anywhere_else(look: Look, server: str) -> None:
  seen = look(server)
  _search(seen.page, "piano")
  assert {parse.urlsplit(url).netloc for url in seen.asked} - {""} == {
    parse.urlsplit(server).netloc
  }


def test_words_are_suggested_while_they_are_typed(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.locator("#query").press_sequentially("+drums -bop")
  options = page.get_by_role("listbox", name="Suggestions").get_by_role(
    "option"
  )
  expect(options).to_have_text(["−bop", "−hard bop", "−bebop", "−0_bebop"][:2]
    + ["−bebop", "−0_bebop", "−1_bebop"])  # fmt: skip
  box = page.get_by_role("combobox")
  expect(box).to_have_attribute("aria-expanded", "true")
  page.keyboard.press("ArrowDown")
  page.keyboard.press("ArrowDown")
  expect(box).to_have_attribute("aria-activedescendant", "suggestion-1")
  page.keyboard.press("Enter")
  expect(box).to_have_value("+drums -hard bop")
  _heading(page, "Near “+drums -hard bop”")
  expect(box).to_have_attribute("aria-expanded", "false")


def test_a_recording_is_suggested_by_its_title(look: Look, server: str) -> None:
  page = look(server).page
  page.wait_for_function(
    f"[...MusicMap.page.recordings.all()].length === {SIZE}"
  )
  page.locator("#query").press_sequentially("song 17")
  page.locator("#suggestions li").first.click()
  _heading(page, "Nearest to Song 17, Artist 5")


def test_an_unknown_word_is_answered_with_those_spelt_alike(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.fill("#query", "beboop")
  page.press("#query", "Enter")
  alert = page.get_by_role("alert")
  expect(alert).to_contain_text("beboop")
  expect(alert).to_contain_text("bebop")
  _search(page, "bebop")
  expect(alert).to_be_hidden()


def test_a_click_on_a_point_plays_it_and_lists_its_neighbours(
  look: Look, server: str, searcher: search.Searcher
) -> None:
  page = look(server).page
  row = next(row for row in page.evaluate(_ALONE) if row not in (3, MISSING))
  page.mouse.click(*page.evaluate(_PLACE, row))
  _plays(page)
  source = page.locator("audio").get_attribute("src")
  assert source == f"/audio/{row}"
  expect(page.locator("#card h2")).to_have_text(f"Song {row}")
  expect(page.locator("#list li")).to_have_count(20)
  answer = searcher.near(row, k=20)
  assert _rows(page) == [hit.row for hit in answer.hits]


def test_every_format_plays(look: Look, server: str, world: World) -> None:
  page = look(server).page
  for row in (0, 1, 2, 33, 11):
    page.evaluate("row => MusicMap.page.pick(row)", row)
    page.wait_for_function(
      "row => document.querySelector('audio').src.endsWith(`/audio/${row}`)",
      arg=row,
    )
    _plays(page)
  assert {path.suffix for path in world.audio} == {
    ".wav", ".flac", ".ogg", ".mp3"
  }  # fmt: skip


def test_a_recording_whose_file_is_gone_says_so(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.evaluate(f"MusicMap.page.pick({MISSING})")
  expect(page.locator("#now")).to_contain_text("not at hand")
  expect(page.locator("audio")).to_be_hidden()


def test_hovering_shows_titles_as_text_whatever_is_in_them(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.mouse.move(*page.evaluate(_PLACE, 3))
  page.evaluate("row => MusicMap.page.tooltip(row, 50, 50)", 3)
  expect(page.locator("#tooltip")).to_contain_text(MARKUP)
  expect(page.locator("#tooltip")).to_contain_text("Artist 1")
  page.evaluate("MusicMap.page.pick(3)")
  expect(page.locator("#card h2")).to_have_text(MARKUP)
  assert page.title().startswith(MARKUP)
  assert page.locator("#app img").count() == 0


def test_a_tooltip_follows_the_mouse(look: Look, server: str) -> None:
  page = look(server).page
  row = next(row for row in page.evaluate(_ALONE) if row != 3)
  page.mouse.move(*page.evaluate(_PLACE, row))
  expect(page.locator("#tooltip")).to_contain_text(f"Song {row}")
  page.mouse.move(640, 5)
  expect(page.locator("#tooltip")).to_be_hidden()


_DROP = """async ([address, name]) => {
  const bytes = await (await fetch(address)).arrayBuffer();
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  for (const type of ['dragenter', 'dragover', 'drop']) {
    document.body.dispatchEvent(new DragEvent(type, {
      bubbles: true, cancelable: true, dataTransfer: carried}));
  }
}"""


def test_a_sound_that_is_dropped_finds_itself(look: Look, server: str) -> None:
  page = look(server).page
  page.evaluate(_DROP, ["/audio/7", "mein Lied ü.mp3"])
  expect(page.locator("#title")).to_have_text(
    "Sounds like mein Lied ü.mp3", timeout=60_000
  )
  assert _rows(page)[0] == 7


def test_a_sound_may_be_chosen_and_a_broken_one_is_refused(
  look: Look, server: str, world: World, tmp_path: pathlib.Path
) -> None:
  page = look(server).page
  page.set_input_files("#file", world.audio[8])
  expect(page.locator("#title")).to_have_text(
    "Sounds like 08 tone.wav", timeout=60_000
  )
  assert _rows(page)[0] == 8
  broken = tmp_path / "broken.mp3"
  broken.write_bytes(b"no sound" * 100)
  page.set_input_files("#file", broken)
  expect(page.get_by_role("alert")).to_contain_text("broken.mp3")


def test_a_path_is_listed_played_on_through_and_downloaded(
  look: Look, server: str, world: World
) -> None:
  page = look(server).page
  page.evaluate("MusicMap.page.choose(1)")
  page.get_by_role("button", name="Path from here").click()
  page.evaluate("MusicMap.page.choose(20)")
  page.get_by_role("button", name="Path to here").click()
  _heading(page, "From Song 1 to Song 20")
  rows = _rows(page)
  assert rows == playlist.path(world.index, 1, 20, length=12)
  with page.expect_download() as started:
    page.get_by_role("link", name="Download .m3u").click()
  assert started.value.suggested_filename == "playlist.m3u"
  written = pathlib.Path(started.value.path()).read_text(encoding="utf-8")
  assert written == playlist.m3u(playlist.entries(world.index, rows))
  assert str(world.audio[rows[0]]) in written.splitlines()
  page.get_by_role("button", name="Play all").click()
  _plays(page)
  expect(page.locator("#now")).to_contain_text(f"1 of {len(rows)}")
  audio = "document.querySelector('audio')"
  page.evaluate(f"{audio}.currentTime = {audio}.duration - 0.1")
  expect(page.locator("#now")).to_contain_text(f"2 of {len(rows)}")
  assert page.locator("audio").get_attribute("src") == f"/audio/{rows[1]}"
  page.get_by_role("button", name="Next in the playlist").click()
  expect(page.locator("#now")).to_contain_text(f"3 of {len(rows)}")


def test_other_artists_only_leaves_out_the_artists_own(
  look: Look, server: str, searcher: search.Searcher
) -> None:
  page = look(server).page
  page.evaluate("MusicMap.page.near(6)")
  expect(page.locator("#list li")).to_have_count(20)
  own = {6, 7, 8}
  page.get_by_role("switch", name="Other artists only").check()
  answer = searcher.near(6, k=20, exclude_same_artist=True)
  wanted = [hit.row for hit in answer.hits]
  expect(page.locator("#list li").first).to_have_attribute(
    "data-row", str(wanted[0])
  )
  page.wait_for_timeout(100)
  assert _rows(page) == wanted
  assert not own & set(wanted)


def test_the_browsers_back_button_goes_back(look: Look, server: str) -> None:
  page = look(server).page
  first = _search(page, "piano")
  page.locator("#list li").nth(4).click()
  page.get_by_role("button", name="Nearest").click()
  expect(page.locator("#title")).to_contain_text("Nearest to")
  page.go_back()
  _heading(page, "Near “piano”")
  assert _rows(page) == first
  expect(page.locator("#query")).to_have_value("piano")


def test_an_address_opens_where_it_was_left(look: Look, server: str) -> None:
  page = look(f"{server}#near=9").page
  _heading(page, "Nearest to Song 9, Artist 3")
  expect(page.locator("#card h2")).to_have_text("Song 9")


def test_a_class_of_the_legend_is_highlighted(look: Look, server: str) -> None:
  page = look(server).page
  button = page.locator("#legend button:not(.empty)").first
  expect(button).to_have_attribute("aria-pressed", "false")
  button.click()
  expect(button).to_have_attribute("aria-pressed", "true")
  strong, dim = _colors(page)
  assert strong != dim
  button.click()
  expect(button).to_have_attribute("aria-pressed", "false")


_COLOR = """row => {
  const {map} = MusicMap.page;
  const canvas = document.getElementById('cloud');
  const {width} = map.holder.getBoundingClientRect();
  const ratio = canvas.width / width;
  const [left, top] = map.camera.toScreen(map.points.x[row], map.points.y[row]);
  const {data} = canvas.getContext('2d').getImageData(
    Math.round(left * ratio), Math.round(top * ratio), 1, 1);
  return [...data];
}"""


def _colors(page: sync_api.Page) -> tuple[list[int], list[int]]:
  """Of a point of the highlighted class and of one of another."""
  page.wait_for_timeout(300)
  alone = page.evaluate(_ALONE)
  classes = page.evaluate("[...MusicMap.page.map.points.classes]")
  only = page.evaluate("MusicMap.page.map.only")
  own = next(row for row in alone if classes[row] == only)
  other = next(row for row in alone if classes[row] != only)
  return page.evaluate(_COLOR, own), page.evaluate(_COLOR, other)


@pytest.mark.parametrize("webgl", [True, False])
def test_points_are_drawn_in_their_classes_colours(
  look: Look, server: str, webgl: bool
) -> None:
  page = look(server, webgl=webgl).page
  page.wait_for_timeout(400)
  colors = page.evaluate("MusicMap.page.map.theme.colors")
  classes = page.evaluate("[...MusicMap.page.map.points.classes]")
  for row in page.evaluate(_ALONE)[:5]:
    *drawn, alpha = page.evaluate(_COLOR, row)
    wanted = bytes.fromhex(colors[classes[row]][1:])
    assert alpha > 150
    # Both ways draw with an opacity of .86; a pixel is rounded.
    for one, other in zip(drawn, wanted, strict=True):
      assert abs(one - other) < 24
  note = page.locator("#map-note")
  if webgl:
    expect(note).to_be_hidden()
  else:
    expect(note).to_contain_text("WebGL")


def test_a_slow_cloud_is_moved_and_drawn_afresh_at_rest(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.wait_for_timeout(300)
  page.evaluate("""() => {
    const {map} = MusicMap.page;
    map.frames.cost = 200;
    map.camera.pan(40, 25);
    map.redraw();
  }""")
  style = "document.getElementById('cloud').style.transform"
  page.wait_for_function(f"{style} === 'translate(40px, 25px) scale(1)'")
  page.wait_for_function(f"{style} === ''")
  drawn, seen = page.evaluate("""() => {
    const {camera, frames} = MusicMap.page.map;
    return [frames.drawn.x, camera.x];
  }""")
  assert drawn == seen


def test_the_map_goes_on_when_the_graphics_card_is_lost(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.evaluate("""() => MusicMap.page.map.cloud.renderer.canvas
    .getContext('webgl').getExtension('WEBGL_lose_context').loseContext()""")
  expect(page.locator("#map-note")).to_contain_text("lost")
  page.wait_for_timeout(200)
  row = page.evaluate(_ALONE)[0]
  assert page.evaluate(_COLOR, row)[3] > 150


def test_without_webgl_everything_else_works(look: Look, server: str) -> None:
  page = look(server, webgl=False).page
  row = next(row for row in page.evaluate(_ALONE) if row not in (3, MISSING))
  page.mouse.click(*page.evaluate(_PLACE, row))
  _plays(page)
  assert len(_search(page, "piano")) == SIZE


def test_wheel_drag_and_buttons_move_the_map(look: Look, server: str) -> None:
  page = look(server).page
  place = page.evaluate(_PLACE, 4)
  page.mouse.move(*place)
  page.mouse.wheel(0, -600)
  page.wait_for_function("MusicMap.page.map.camera.scale > 1.5")
  # What lies under the mouse stays there; mice move by whole pixels.
  assert page.evaluate(_PLACE, 4) == pytest.approx(place, abs=2)
  page.mouse.down()
  page.mouse.move(place[0] + 60, place[1] - 40, steps=4)
  page.mouse.up()
  moved = page.evaluate(_PLACE, 4)
  assert moved == pytest.approx([place[0] + 60, place[1] - 40], abs=6)
  assert page.locator("audio").get_attribute("src") is None
  page.get_by_role("button", name="Show everything").click()
  page.wait_for_function(
    "Math.abs(MusicMap.page.map.camera.scale"
    " - MusicMap.page.map.camera.whole) < 1e-6"
  )


def test_two_fingers_zoom_and_one_picks_on_a_phone(
  look: Look, server: str
) -> None:
  page = look(server, width=390, height=844, has_touch=True).page
  before = page.evaluate("MusicMap.page.map.camera.scale")
  session = page.context.new_cdp_session(page)

  def touch(kind: str, *places: tuple[float, float]) -> None:
    points = [
      {"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)
    ]
    session.send(
      "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
    )

  touch("touchStart", (180, 180), (220, 180))
  for spread in (40, 60, 80):
    touch("touchMove", (200 - spread, 180), (200 + spread, 180))
  touch("touchEnd")
  after = page.evaluate("MusicMap.page.map.camera.scale")
  assert after == pytest.approx(4 * before, rel=0.1)
  page.evaluate("MusicMap.page.map.all()")
  page.wait_for_timeout(500)
  row = next(row for row in page.evaluate(_ALONE) if row not in (3, MISSING))
  page.touchscreen.tap(*page.evaluate(_PLACE, row))
  expect(page.locator("#card h2")).to_have_text(f"Song {row}")


def test_panel_and_map_share_a_narrow_screen(look: Look, server: str) -> None:
  page = look(server, width=390, height=844).page
  whole = page.evaluate("document.documentElement.scrollWidth")
  assert whole == 390
  top, panel = (
    page.locator(name).bounding_box() for name in ("#map", "#panel")
  )
  assert top is not None
  assert panel is not None
  assert top["height"] > 250
  assert panel["y"] >= top["height"] - 1
  assert panel["y"] + panel["height"] <= 844


def test_the_whole_page_is_used_by_keys_alone(
  look: Look, server: str, searcher: search.Searcher
) -> None:
  page = look(server).page
  keyboard = page.keyboard
  focused = "document.activeElement.id"
  keyboard.press("/")
  assert page.evaluate(focused) == "query"
  keyboard.type("piano")
  keyboard.press("Enter")
  _heading(page, "Near “piano”")
  keyboard.press("ArrowDown")
  assert page.evaluate(focused) == "list"
  keyboard.press("ArrowDown")
  chosen = searcher.search("piano", k=50).hits[1].row
  expect(page.locator("#list")).to_have_attribute(
    "aria-activedescendant", "hit-1"
  )
  keyboard.press("Enter")
  _plays(page)
  expect(page.locator("#card h2")).to_have_text(f"Song {chosen}")
  for _ in range(12):
    keyboard.press("Shift+Tab")
    if page.evaluate(focused) == "card-near":
      break
  keyboard.press("Enter")
  expect(page.locator("#title")).to_contain_text(f"Nearest to Song {chosen}")
  page.locator("#surface").focus()
  keyboard.press("ArrowLeft")
  status = page.locator("#status")
  expect(status).to_contain_text("Song")
  at = page.evaluate("MusicMap.page.map.cursor")
  assert at != chosen
  keyboard.press("Enter")
  expect(page.locator("#title")).to_contain_text(f"Nearest to Song {at}")


def test_arrow_keys_on_the_map_go_the_way_that_they_say(
  look: Look, server: str
) -> None:
  page = look(server).page
  page.evaluate("MusicMap.page.map.choose(0)")
  page.locator("#surface").focus()
  for key, axis, sign in (
    ("ArrowRight", 0, 1),
    ("ArrowUp", 1, -1),
    ("ArrowLeft", 0, -1),
    ("ArrowDown", 1, 1),
  ):
    before = page.evaluate("MusicMap.page.map.cursor")
    page.keyboard.press(key)
    page.wait_for_timeout(350)  # Where the map moves to follow.
    after = page.evaluate("MusicMap.page.map.cursor")
    old, new = (page.evaluate(_PLACE, row) for row in (before, after))
    if before == after:  # None further that way.
      others = [page.evaluate(_PLACE, row)[axis] for row in range(SIZE)]
      assert all(
        sign * (other - old[axis]) <= 1e-6 or abs(other - old[axis]) < 400
        for other in others
      )
    else:
      assert sign * (new[axis] - old[axis]) > 0


def test_every_control_has_a_name_and_shows_its_focus(
  look: Look, server: str
) -> None:
  page = look(server).page
  _search(page, "piano")
  page.locator("#list li").nth(1).click()
  page.locator("#card-from").click()
  page.locator(".skip").focus()
  names = []
  for _ in range(60):
    page.keyboard.press("Tab")
    found = page.evaluate("""() => {
      const one = document.activeElement;
      if (one === document.body) return null;
      const ring = one.closest('.switch, .file') || one;
      const {outlineStyle, outlineWidth} = getComputedStyle(ring);
      const label = one.labels?.[0]?.innerText || '';
      const by = document.getElementById(one.getAttribute('aria-labelledby'));
      return [one.tagName + '#' + one.id, one.getAttribute('aria-label')
        || label || by?.innerText || one.innerText || '',
        outlineStyle, parseFloat(outlineWidth)];
    }""")
    if found is None:
      break
    names.append(found)
  tags = {name for name, *_ in names}
  assert {"DIV#surface", "INPUT#query", "INPUT#others", "UL#list"} <= tags
  assert {"BUTTON#card-near", "INPUT#file", "A#download"} <= tags
  for tag, name, style, width in names:
    assert name.strip() or tag.startswith("AUDIO"), tag
    if not tag.startswith("AUDIO"):  # The browser's own.
      assert (style, width >= 1) != ("none", False), tag
      assert style != "none", tag


def test_answers_are_announced(look: Look, server: str) -> None:
  page = look(server).page
  rows = _search(page, "piano")
  expect(page.get_by_role("status")).to_have_text(
    f"{SIZE} recordings. First: Song {rows[0]}, Artist {rows[0] // 3}"
  )


def test_screenshots_are_taken_where_they_are_wanted(
  look: Look, server: str, tmp_path: pathlib.Path
) -> None:
  folder = pathlib.Path(os.environ.get("MUSIC_EMBED_SCREENSHOTS", tmp_path))
  folder.mkdir(parents=True, exist_ok=True)
  for width, height in ((1280, 800), (390, 844)):
    for scheme in ("light", "dark"):
      page = look(server, width=width, height=height, color_scheme=scheme).page
      rows = _search(page, "bebop")
      page.locator("#list li").nth(2).click()
      expect(page.locator("#card h2")).to_contain_text(f"{rows[2]}")
      page.wait_for_timeout(300)
      shot = folder / f"page-{width}x{height}-{scheme}.png"
      page.screenshot(path=shot)
      assert shot.stat().st_size > 10_000
