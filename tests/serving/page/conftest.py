"""A catalogue of tones with its map, and Chromium to look at it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import page_world
import pytest
from page_world import Watched, World
from playwright import sync_api

from music_embed.serving import explore

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_WEBGL = ["--use-gl=angle", "--use-angle=swiftshader"]
_WEBGL += ["--enable-unsafe-swiftshader"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
  return page_world.make(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def server(world: World) -> Iterator[str]:
  """Address of a server, as a person would start it."""
  command = [sys.executable, "launch/explore.py", "--port=0", "--layout=pca"]
  command.append(f"--index={world.folder / 'index'}")
  environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
  with subprocess.Popen(
    command, cwd=_ROOT, env=environment, text=True, stdout=subprocess.PIPE
  ) as process:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
      told += line
      found = re.search(r"http://\S+", line)
      if found:
        yield found[0]
        break
    else:
      pytest.fail(f"no address: {told}")
    process.terminate()


@pytest.fixture(scope="session")
def static_page(world: World) -> pathlib.Path:
  """The same catalogue as files; its sounds stay where they are."""
  folder = world.folder / "static"
  explore.explore(
    index=str(world.folder / "index"), layout_kind="pca", static=str(folder)
  )
  return folder / "index.html"


def _chromium() -> str:
  names = ("chromium", "chromium-browser", "google-chrome")
  found = next(filter(None, map(shutil.which, names)), None)
  if found is None:
    why = "no Chromium here: the page cannot be looked at"
    if os.environ.get("CI"):
      pytest.fail(why)
    pytest.skip(why)
  return found


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., sync_api.Browser]]:
  """Starts Chromium with or without WebGL; one of each."""
  path = _chromium()
  started: dict[bool, sync_api.Browser] = {}
  with sync_api.sync_playwright() as playwright:

    def start(*, webgl: bool = True) -> sync_api.Browser:
      if webgl not in started:
        more = _WEBGL if webgl else ["--disable-3d-apis"]
        started[webgl] = playwright.chromium.launch(
          executable_path=path, args=["--no-sandbox", *more]
        )
      return started[webgl]

    yield start
    for browser in started.values():
      browser.close()


_IMPORTANT = ("error", "warning")
_EXPECTED = re.compile(
  "GPU stall due to ReadPixels"  # Of software WebGL.
  "|willReadFrequently"  # Of tests that look at pixels.
  r"|status of 4\d\d"  # Of answers that tests ask for.
)


@pytest.fixture
def look(
  launch: Callable[..., sync_api.Browser],
) -> Iterator[Callable[..., Watched]]:
  """Opens the page; when the test ends, nothing must have gone wrong on it."""
  opened: list[tuple[sync_api.BrowserContext, Watched]] = []

  def look_at(
    address: str,
    *,
    webgl: bool = True,
    width: int = 1280,
    height: int = 800,
    **options: object,
  ) -> Watched:
    context = launch(webgl=webgl).new_context(
      viewport={"width": width, "height": height},
      **options,  # type: ignore[arg-type]
    )
    page = context.new_page()
    seen = Watched(page, [], [])
    opened.append((context, seen))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))

    def heard(message: sync_api.ConsoleMessage) -> None:
      if message.type in _IMPORTANT and not _EXPECTED.search(message.text):
        seen.complaints.append(message.text)

    page.on("console", heard)
    page.goto(address)
    page.wait_for_selector("body.ready")
    return seen

  yield look_at
  for context, seen in opened:
    context.close()
    assert seen.complaints == []
