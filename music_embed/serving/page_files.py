"""The files of the map's page, as they lie in the package."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping

_FOLDER = pathlib.Path(__file__).resolve().parent / "page"
_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".md": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
}

DATA_MARK = "<!-- data -->"
"""In `index.html`, where the static page loads its data."""


@functools.cache
def assets() -> Mapping[str, pathlib.Path]:
  """Files by the name under which the page asks for them.

  Names have slashes, such as `vendor/LICENSE`; nothing else can be asked for.
  """
  return {
    path.relative_to(_FOLDER).as_posix(): path
    for path in sorted(_FOLDER.rglob("*"))
    if path.is_file()
    and path != _FOLDER / "index.html"
    and path.suffix not in (".py", ".pyc")
  }


def index_html() -> str:
  """The page itself."""
  return (_FOLDER / "index.html").read_text(encoding="utf-8")


def media_type(path: pathlib.Path) -> str:
  """What a browser is told that a file is."""
  return _TYPES.get(path.suffix, "text/plain; charset=utf-8")
