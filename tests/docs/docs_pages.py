"""What the pages for people hold: fenced blocks, and commands in them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
_FOLDERS = ("launch", "gin")
_FENCE = re.compile(r"^(\s*)```(.*)$")


@dataclasses.dataclass(frozen=True)
class Block:
  """A fenced block.

  Attributes:
    page: its path, relative to the checkout.
    line: of its first line of text, from 1.
    language: what stands behind the opening fence.
    text: what stands between the fences.
    before: the line of text above it, for the file that it is to be put in.
  """

  page: str
  line: int
  language: str
  text: str
  before: str


@dataclasses.dataclass(frozen=True)
class Command:
  """A command of a block: lines joined where one ends with a backslash.

  Attributes:
    block: where it stands.
    line: of the page, from 1.
    text: as bash gets it.
    exports: the `export` lines above it in its block.
  """

  block: Block
  line: int
  text: str
  exports: tuple[str, ...] = ()

  def __str__(self) -> str:
    return f"{self.block.page}:{self.line}: {self.text}"


def pages() -> list[str]:
  """Every page for people, the README first."""
  found = [
    path.relative_to(ROOT).as_posix()
    for folder in _FOLDERS
    for path in (ROOT / folder).rglob("*.md")
  ]
  return ["README.md", *sorted(found)]


def blocks(page: str) -> list[Block]:
  """The fenced blocks of a page.

  Raises:
    ValueError: a fence is not closed.
  """
  found, lines, opened, before = [], [], None, ""
  text = (ROOT / page).read_text(encoding="utf-8")
  for number, line in enumerate(text.splitlines(), 1):
    fence = _FENCE.match(line)
    if fence and opened is None:
      opened, lines = (number, fence[2].strip()), []
    elif fence and opened is not None:
      start, language = opened
      found.append(Block(page, start + 1, language, "\n".join(lines), before))
      opened = None
    elif opened is not None:
      lines.append(line)
    elif line.strip():
      before = line.strip()
  if opened is not None:
    raise ValueError(f"{page}:{opened[0]}: the fence is not closed")
  return found


def _is_open(text: str) -> bool:
  """Whether a quote is not closed yet."""
  try:
    shlex.split(text, comments=True)
  except ValueError:
    return True
  return False


def commands(block: Block) -> Iterator[Command]:
  """The commands of a bash block; comments and blank lines are none.

  Lines are joined where one ends with a backslash or within quotes.
  """
  exports: list[str] = []
  joined, start = "", 0
  for number, line in enumerate(block.text.splitlines(), block.line):
    if not joined:
      start = number
      if not line.strip() or line.lstrip().startswith("#"):
        continue
    joined += line
    if joined.endswith("\\"):
      joined = joined[:-1].rstrip() + " "
      continue
    if _is_open(joined):
      joined += " "
      continue
    text, joined = re.sub(r"\s+", " ", joined).strip(), ""
    text = re.sub(r"\s+# .*$", "", text)
    if text.startswith("export "):
      exports.append(text)
    yield Command(block, start, text, tuple(exports))


def all_commands() -> list[Command]:
  """The commands of all pages, in order."""
  return [
    command
    for page in pages()
    for block in blocks(page)
    if block.language == "bash"
    for command in commands(block)
  ]


def file_of(block: Block) -> str:
  """Path that a page gives a block's text to, as in "in `a/path`:"; or none."""
  named = re.search(r"`(\S+/\S+)`:$", block.before)
  return named[1] if named else ""
