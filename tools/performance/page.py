"""How smoothly the map's page moves: frames while it is panned, in Chromium.

  .venv/bin/python tools/performance/page.py [--points=100000] [--gpu]

Writes a static page of drawn recordings, opens it headless at 1280x800, and
pans by some pixels in each frame. Without --gpu WebGL is drawn in software
(SwiftShader), which is the worst case: a machine with any graphics card is
faster. The table names the renderer. Not a part of `tools/perf.py`, as it
needs a Chromium.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
from playwright import sync_api  # noqa: E402

from music_embed.retrieval import build, entries  # noqa: E402
from music_embed.retrieval import index as index_lib  # noqa: E402
from music_embed.serving import (  # noqa: E402
  catalogue_map,
  explorer,
  legend,
  static_page,
)
from tools.performance import measure  # noqa: E402

_DIM = 32
_CENTRES = 40
_SOFTWARE = (
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
)
_RENDERER = """() => {
  const gl = document.createElement('canvas').getContext('webgl');
  const told = gl && gl.getExtension('WEBGL_debug_renderer_info');
  return told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : 'none';
}"""
_PAN = """seconds => new Promise(resolve => {
  const {map} = MusicMap.page;
  const times = [];
  const began = performance.now();
  let last = began;
  const frame = now => {
    times.push(now - last);
    last = now;
    map.camera.pan(3 * Math.sin(now / 300), 3 * Math.cos(now / 500));
    map.redraw();
    if (now - began < 1000 * seconds) requestAnimationFrame(frame);
    else resolve(times.slice(2));
  };
  requestAnimationFrame(frame);
})"""
_FIND = """() => {
  const {map} = MusicMap.page;
  const began = performance.now();
  for (let left = 0; left < 1000; left += 1) map.at(left % 800, 300, 'mouse');
  return performance.now() - began;
}"""


def main(arguments: Sequence[str] | None = None) -> int:
  """Parses the flags and measures; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--points", type=int, default=100_000)
  parser.add_argument("--seconds", type=float, default=5.0)
  parser.add_argument("--gpu", action="store_true", help="draw by the GPU")
  flags = parser.parse_args(arguments)
  path = shutil.which("chromium") or shutil.which("google-chrome")
  if path is None:
    parser.error("no Chromium here")
  with tempfile.TemporaryDirectory(prefix="music_embed_page_") as scratch:
    measure.say(f"writing a page of {flags.points:,} recordings ...")
    page = _written(scratch, flags.points)
    figures = list(_figures(path, page, flags.seconds, flags.gpu))
  print(measure.table(figures))
  return 0


def _written(scratch: str, size: int) -> str:
  """A static page of drawn recordings; returns its address."""
  rng = np.random.default_rng(1)
  group = rng.integers(0, _CENTRES, size)
  vectors = rng.normal(size=(_CENTRES, _DIM))[group]
  vectors += 0.3 * rng.normal(size=vectors.shape)
  drawn = entries.Entries(
    ids=[f"{row}" for row in range(size)],
    vectors=vectors.astype(np.float32),
    titles=[f"Song {row}" for row in range(size)],
    artists=[f"Artist {row % 5000}" for row in range(size)],
    audio=[""] * size,
    durations_s=[180.0] * size,
    labels=[[f"label {label}"] for label in group],
    scores=[[0.5]] * size,
  )
  folder = os.path.join(scratch, "index")
  source = build.Source(batches=lambda: iter([drawn]), dim=_DIM)
  build.build(folder, source, kind="flat")
  laid_out = catalogue_map.CatalogueMap(
    kind="pca", points=_places(rng, group), legend=_classes(group)
  )
  explored = explorer.Explorer(index_lib.Index.open(folder), laid_out)
  site = os.path.join(scratch, "site")
  static_page.write(explored, site)
  return pathlib.Path(site, "index.html").as_uri()


def _places(
  rng: np.random.Generator, group: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
  """Clouds of points, float32 [size, 2] in [-1, 1]."""
  places = rng.uniform(-0.85, 0.85, (_CENTRES, 2))[group]
  places += 0.06 * rng.normal(size=places.shape)
  return places.clip(-1, 1).astype(np.float32)


def _classes(group: npt.NDArray[np.int64]) -> legend.Legend:
  labels = (*(f"label {number}" for number in range(9)), legend.OTHER)
  return legend.Legend(labels, np.minimum(group, 9).astype(np.uint8))


def _figures(
  chromium: str, address: str, seconds: float, gpu: bool
) -> Iterator[measure.Figure]:
  """Figures with WebGL and without."""
  with sync_api.sync_playwright() as playwright:
    for name, more in (
      ("WebGL", () if gpu else _SOFTWARE),
      ("plain canvas", ("--disable-3d-apis",)),
    ):
      browser = playwright.chromium.launch(
        executable_path=chromium, args=["--no-sandbox", *more]
      )
      page = browser.new_page(viewport={"width": 1280, "height": 800})
      began = time.perf_counter()
      page.goto(address)
      page.wait_for_selector("body.ready", timeout=120_000)
      ready = time.perf_counter() - began
      told = f"{name} ({page.evaluate(_RENDERER)})"
      times = sorted(page.evaluate(_PAN, seconds))
      yield measure.Figure(f"page is there, {told}", ready, "s")
      yield measure.Figure(
        f"frame, median, {name}", statistics.median(times), "ms"
      )
      yield measure.Figure(
        f"frame, 95th percentile, {name}", times[int(0.95 * len(times))], "ms"
      )
      found = page.evaluate(_FIND)
      yield measure.Figure("point under the mouse", found, "us")
      browser.close()


if __name__ == "__main__":
  sys.exit(main())
