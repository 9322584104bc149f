"""Answers for a terminal, and queries from one."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from music_embed.retrieval import index as index_lib
from music_embed.retrieval import search

_LABELS = 3
_LEAST = (24, 6)
"""Of the terminal, that each column keeps; if they are too many, the second."""
_KINDS = {"term": "word", "label": "sense"}


def drawn(index: index_lib.Index, answer: search.Answer) -> str:
  """An answer as a table, as wide as the terminal."""
  lines = [_heading(answer)]
  if not answer.hits:
    return "\n".join([*lines, "  nothing"])
  rows = [_cells(index, place, hit) for place, hit in enumerate(answer.hits, 1)]
  header = ("", "score", "recording", "", "sense", "labels")
  columns = list(zip(header, *rows, strict=True))
  columns = [c for c in columns if any(c[1:])]  # Such as senses of no word.
  widths = _fitted([max(map(width_of, column)) for column in columns])
  for row in zip(*columns, strict=True):
    cells = [
      _padded(cell, width, right=place < 2)
      for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    lines.append("  " + "  ".join(cells).rstrip())
  return "\n".join(lines)


def _fitted(widths: list[int]) -> list[int]:
  """Widths of columns that fit the terminal; the last ones give way first."""
  room = shutil.get_terminal_size((100, 24)).columns
  over = 2 + sum(widths) + 2 * (len(widths) - 1) - room
  fitted = list(widths)
  for least in _LEAST:
    for place in range(len(widths) - 1, 1, -1):
      cut = min(max(over, 0), max(0, fitted[place] - least))
      fitted[place] -= cut
      over -= cut
  return fitted


def to_json(index: index_lib.Index, answer: search.Answer) -> dict[str, Any]:
  """An answer for programs, with what is known of its recordings."""
  value = answer.to_json()
  known = index.catalogue
  for hit in value["hits"]:
    row = hit["row"]
    hit["title"] = known.titles[row]
    hit["artist"] = known.artists[row]
    hit["audio"] = known.audio[row]
    hit["duration_s"] = known.durations_s[row]
    hit["labels"] = [list(pair) for pair in known.labels(row)]
  return value


def with_queries_apart(
  arguments: Sequence[str], is_flag: Callable[[str], bool]
) -> list[str]:
  """Arguments in which queries such as `-drums +piano` are not taken for flags.

  Args:
    arguments: of the command line.
    is_flag: whether there is a flag of this name.

  Returns:
    The same, a space before those that begin with one dash and go on as no
    flag does.
  """

  def is_query(text: str) -> bool:
    name = text[1:].partition("=")[0]
    is_one = text.startswith("-") and not text.startswith("--")
    return is_one and bool(name) and not is_flag(name)

  end = arguments.index("--") if "--" in arguments else len(arguments)
  apart = [f" {text}" if is_query(text) else text for text in arguments[:end]]
  return [*apart, *arguments[end:]]


def _heading(answer: search.Answer) -> str:
  told = []
  for part in answer.understood:
    name = part.name
    if part.kind == "term" and len(part.labels) > 1:
      name += f" ({', '.join(part.labels)})"
    kind = _KINDS.get(part.kind, part.kind)
    sign = "-" if part.sign < 0 else "+"
    told.append(f"{sign if len(answer.understood) > 1 else ''}{kind} {name}")
  return f"{answer.query}: {', '.join(told)}"


def _cells(
  index: index_lib.Index, place: int, hit: search.Hit
) -> tuple[str, ...]:
  known = index.catalogue
  artist, title = known.artists[hit.row], known.titles[hit.row]
  is_named = not artist or title.startswith(artist)
  name = title if is_named else " - ".join(filter(None, (artist, title)))
  labels = [label for label, _ in known.labels(hit.row)[:_LABELS]]
  score = f"{hit.score:.3f}"
  return str(place), score, hit.id, name, hit.via, ", ".join(labels)


def width_of(text: str) -> int:
  """Columns of a terminal: wide characters take two, combining ones none."""
  return sum(map(_columns, text))


def _columns(character: str) -> int:
  if unicodedata.category(character) in ("Mn", "Me", "Cf"):
    return 0
  return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padded(text: str, width: int, *, right: bool) -> str:
  text = "".join(c if c.isprintable() else " " for c in text)
  if width_of(text) > width:
    kept = ""
    for character in text:
      if width_of(kept + character) > width - 1:
        break
      kept += character
    text = kept + "…"
  space = " " * (width - width_of(text))
  return space + text if right else text + space
