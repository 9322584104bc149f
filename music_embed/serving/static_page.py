"""The map as files: the same page, with the catalogue in a script beside it.

It works from any web server and from a disk (`file://`): nothing is asked for.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors, files
from music_embed.serving import explorer, page_files

MOST_RECORDINGS = 200_000
"""Of a page that a browser still takes in one piece."""

_MOST_WORDS = 5_000
_DATA = "data.js"
_START = "window.MUSIC_EMBED_DATA = "
_LOADED = f'<script defer src="{_DATA}"></script>'


def write(
  explored: explorer.Explorer, folder: str, *, copy_audio: bool = False
) -> None:
  """Writes the page; `index.html` comes last.

  Args:
    explored: the catalogue.
    folder: that gets the page; created where missing. A page that lies there
      is replaced.
    copy_audio: whether recordings come along, into `audio/`; else the page
      plays them from where they lie, which works on this machine alone.

  Raises:
    ConfigError: the folder holds something else, or there are too many
      recordings.
  """
  _require_ours(folder)
  if explored.index.size > MOST_RECORDINGS:
    raise errors.ConfigError(
      f"--static: {explored.index.size:,} recordings are too many for a page"
      f" of files (at most {MOST_RECORDINGS:,}): serve them"
    )
  files.make_dirs(folder)
  audio = _copied(explored, folder) if copy_audio else _linked(explored)
  for name, path in page_files.assets().items():
    target = files.join(folder, "assets", name)
    files.make_dirs(os.path.dirname(target))
    _write(target, path.read_bytes())
  text = json.dumps(data(explored, audio), ensure_ascii=False, allow_nan=False)
  _write(files.join(folder, _DATA), f"{_START}{text};\n".encode())
  page = page_files.index_html()
  if page.count(page_files.DATA_MARK) != 1:
    raise ValueError(f"index.html: no {page_files.DATA_MARK}")
  page = page.replace(page_files.DATA_MARK, _LOADED)
  _write(files.join(folder, "index.html"), page.encode())


def data(
  explored: explorer.Explorer, audio: Sequence[str | None]
) -> dict[str, Any]:
  """What the page is told in place of a server's answers.

  Args:
    explored: the catalogue.
    audio: of each recording its address; None where it has none.
  """
  index = explored.index
  told = explored.recordings(range(index.size))
  kept = _frequent(explored)
  catalogue = explored.catalogue(takes_sounds=False)
  names, terms = _words(explored, kept)
  known = {*names, *terms}
  catalogue["words"] = [w for w in catalogue["words"] if w in known]
  labels = index.label_vectors
  return {
    "catalogue": catalogue,
    "points": _base64(explored.points()),
    "recordings": [
      recording | {"audio": address}
      for recording, address in zip(told, audio, strict=True)
    ],
    "vectors": _small(index.vectors),
    "words": None
    if labels is None
    else {"names": names, "terms": terms, **_small(labels[kept])},
  }


def _frequent(explored: explorer.Explorer) -> npt.NDArray[np.int64]:
  """Rows of the most frequent labels, in the model's order."""
  names = explored.index.label_names
  if names is None:
    return np.zeros(0, np.int64)
  falling = np.argsort(-np.asarray(names.counts), kind="stable")
  rows: npt.NDArray[np.int64] = np.sort(falling[:_MOST_WORDS])
  return rows


def _words(
  explored: explorer.Explorer, kept: npt.NDArray[np.int64]
) -> tuple[list[str], list[str]]:
  """Labels, and of each the term that it is searched for by, "" if rare."""
  names = explored.index.label_names
  if names is None:
    return [], []
  labels, terms = [], []
  for row in kept:
    term = names.terms[row]
    is_rare = row not in names.without_rare(names.labels_of(term))
    labels.append(names.labels[row])
    terms.append("" if is_rare else names.term_names[term])
  return labels, terms


def _small(vectors: npt.NDArray[np.float32]) -> dict[str, Any]:
  """Vectors in a byte a number: value = scale * integer."""
  largest = float(np.abs(vectors).max(initial=0)) or 1.0
  scale = largest / 127
  integers = np.rint(np.asarray(vectors) / scale).astype(np.int8)
  return {"scale": scale, "int8": _base64(integers.tobytes())}


def _linked(explored: explorer.Explorer) -> list[str | None]:
  """Addresses of the files where they lie."""
  paths = map(explored.audio_file, range(explored.index.size))
  return [
    None if path is None else pathlib.Path(path).absolute().as_uri()
    for path in paths
  ]


def _copied(explored: explorer.Explorer, folder: str) -> list[str | None]:
  """Copies recordings that are not there yet; returns their addresses."""
  addresses: list[str | None] = []
  files.make_dirs(files.join(folder, "audio"))
  rows = range(explored.index.size)
  for row in tqdm.tqdm(rows, desc="copying", unit="file", delay=2, leave=False):
    path = explored.audio_file(row)
    if path is None:
      addresses.append(None)
      continue
    name = f"audio/{row:06d}{os.path.splitext(path)[1].lower()}"
    _copy(path, files.join(folder, name))
    addresses.append(name)
  return addresses


def _copy(source: str, target: str) -> None:
  """Copies a file, with its time, unless a copy is there already."""
  wanted = os.stat(source)
  if os.path.exists(target):
    there = os.stat(target)
    same_time = there.st_mtime_ns == wanted.st_mtime_ns
    if there.st_size == wanted.st_size and same_time:
      return
  with open(source, "rb") as read, files.atomic_write(target) as written:
    shutil.copyfileobj(read, written, 1 << 20)
  os.utime(target, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))


def _require_ours(folder: str) -> None:
  if not os.path.exists(folder):
    return
  if not os.path.isdir(folder):
    raise errors.ConfigError(f"--static={folder}: is a file")
  ours = {_DATA, "assets", "audio"}  # The first things that are written.
  if not ours.intersection(os.listdir(folder)) and os.listdir(folder):
    raise errors.ConfigError(
      f"--static={folder}: holds something else: name an empty folder"
    )


def _write(path: str, content: bytes) -> None:
  with files.atomic_write(path) as file:
    file.write(content)


def _base64(content: bytes) -> str:
  return base64.b64encode(content).decode("ascii")
