"""A way from one recording to another, as a playlist."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.retrieval import index as index_lib
from music_embed.retrieval import vectors as vectors_lib

Array = npt.NDArray[Any]

_CANDIDATES = 24
_STRAIGHTNESS = 1.0
"""What lying off the straight way costs, beside a step of the same length."""


@dataclasses.dataclass(frozen=True)
class Entry:
  """A recording of a playlist.

  Attributes:
    audio: path or URL of its file.
    title: empty where unknown.
    artist: empty where unknown.
    duration_s: 0 where unknown.
  """

  audio: str
  title: str = ""
  artist: str = ""
  duration_s: float = 0.0


def path(
  index: index_lib.Index, start: int, end: int, *, length: int = 12
) -> list[int]:
  """Recordings on the way from one to another.

  Between the two lie points at equal distances on the great circle. Of the
  recordings near each point one is taken, so that the squared lengths of all
  steps and the squared distances from the points are least (dynamic
  programming). No recording comes twice.

  Args:
    index: of the recordings.
    start: row of the first.
    end: row of the last; the same one gives what is nearest to it.
    length: recordings of the way, both ends included, at least 2.

  Returns:
    Rows; fewer than `length` where there are no others.

  Raises:
    ValueError: `length` is less than 2, or a row is none of the index.
  """
  if length < 2 or not (0 <= start < index.size and 0 <= end < index.size):
    raise ValueError(f"path({start}, {end}, length={length})")
  ends = np.asarray(index.vectors[[start, end]])
  if start == end:
    _, near = index.nearest(ends[:1], length - 1, leave_out=[start])
    return [start, *near[0][near[0] >= 0].tolist()]
  points = _between(ends[0], ends[1], length - 2)
  layers = _layers(index, points, [start, end])
  return [start, *_cheapest(index, ends, points, layers), end]


def entries(index: index_lib.Index, rows: Iterable[int]) -> list[Entry]:
  """Recordings of an index as a playlist has them; those without audio not."""
  known = index.catalogue
  return [
    Entry(
      audio=known.audio[row],
      title=known.titles[row] or known.ids[row],
      artist=known.artists[row],
      duration_s=known.durations_s[row],
    )
    for row in rows
    if known.audio[row]
  ]


def m3u(some: Iterable[Entry]) -> str:
  """A playlist in extended M3U, to be written as UTF-8."""
  lines = ["#EXTM3U"]
  for entry in some:
    seconds = round(entry.duration_s) if entry.duration_s else -1
    title = " - ".join(filter(None, (entry.artist, entry.title)))
    lines += [f"#EXTINF:{seconds},{_line(title)}", _line(entry.audio)]
  return "\n".join(lines) + "\n"


def _line(text: str) -> str:
  return " ".join(text.splitlines())


def _between(first: Array, last: Array, number: int) -> npt.NDArray[np.float32]:
  """Points on the great circle, float32 [number, dim], unit norm."""
  angle = np.arccos(np.clip(float(first @ last), -1, 1))
  parts = np.arange(1, number + 1)[:, None] / (number + 1)
  if np.sin(angle) < 1e-4:  # Equal or opposite: any way is as short.
    return vectors_lib.unit((1 - parts) * first + parts * last)
  weighted = np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last
  return vectors_lib.unit(weighted)


def _layers(
  index: index_lib.Index, points: Array, leave_out: Sequence[int]
) -> list[npt.NDArray[np.int64]]:
  """Rows near each point; a row is in the layer of its nearest point alone."""
  if not len(points):
    return []
  scores, rows = index.nearest(points, _CANDIDATES, leave_out=leave_out)
  owner: dict[int, tuple[float, int]] = {}
  for layer, (some_scores, some_rows) in enumerate(
    zip(scores.tolist(), rows.tolist(), strict=True)
  ):
    for score, row in zip(some_scores, some_rows, strict=True):
      if row >= 0 and score > owner.get(row, (-np.inf, 0))[0]:
        owner[row] = (score, layer)
  found: list[list[int]] = [[] for _ in points]
  for row, (_, layer) in sorted(owner.items()):
    found[layer].append(row)
  return [np.array(layer, np.int64) for layer in found]


def _cheapest(
  index: index_lib.Index,
  ends: Array,
  points: Array,
  layers: Sequence[npt.NDArray[np.int64]],
) -> list[int]:
  """One row of each layer that has some."""
  before = ends[:1]
  costs = np.zeros(1)
  passed: list[tuple[npt.NDArray[np.int64], Array]] = []
  for point, rows in zip(points, layers, strict=True):
    if not len(rows):
      continue
    here = np.asarray(index.vectors[rows])
    off = _STRAIGHTNESS * _squared(here, point[None])[:, 0]
    step = costs[None] + _squared(here, before) + off[:, None]
    passed.append((rows, step.argmin(axis=1)))
    costs, before = step.min(axis=1), here
  place = int((costs + _squared(ends[1:], before)[0]).argmin())
  way: list[int] = []
  for rows, came_from in reversed(passed):
    way.append(int(rows[place]))
    place = int(came_from[place])
  return way[::-1]


def _squared(left: Array, right: Array) -> Array:
  """Squared distances of unit vectors, [n, m]."""
  return 2 - 2 * (left @ right.T)
