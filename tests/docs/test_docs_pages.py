"""The pages agree with themselves, with gin/ and with the launchers."""

from __future__ import annotations

import re

import docs_pages
import pytest

_MACRO = re.compile(r"^([A-Z][A-Z_0-9]*) = (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SHARED = {"gin_file", "gin_param", "worker_hosts", "worker_index"}
"""Flags of several launchers, defined in `runs/cli.py`."""


def _text(page: str) -> str:
  return (docs_pages.ROOT / page).read_text(encoding="utf-8")


def _prose(page: str) -> str:
  """What stands outside of fences."""
  return re.sub(r"```.*?```", "", _text(page), flags=re.DOTALL)


def _anchors(page: str) -> set[str]:
  """Of the headings, as GitHub makes them."""
  headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
  return {
    re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    for heading in headings
  }


def _bound() -> dict[str, dict[str, str]]:
  """Values of macros, by the macro and the file below gin/."""
  found: dict[str, dict[str, str]] = {}
  folder = docs_pages.ROOT / "gin"
  for path in folder.rglob("*.gin"):
    for name, value in _MACRO.findall(path.read_text(encoding="utf-8")):
      place = path.relative_to(folder).as_posix()
      found.setdefault(name, {})[place] = value
  return found


def _macro_rows() -> list[tuple[list[str], str]]:
  """Names and values of the rows of gin/README.md's table of macros."""
  section = _text("gin/README.md").split("## Macros")[1].split("\n## ")[0]
  rows = [line.split("|") for line in section.splitlines() if "| `" in line]
  return [(re.findall(r"`([A-Z_0-9]+)`", row[1]), row[3]) for row in rows]


def test_the_readme_is_one_page() -> None:
  assert len(_text("README.md").splitlines()) <= 170


@pytest.mark.parametrize("page", [*docs_pages.pages(), "WORKSPACE.md"])
def test_links_lead_somewhere(page: str) -> None:
  for link in _LINK.findall(_prose(page)):
    if link.startswith(("http://", "https://")):
      continue
    name, _, anchor = link.partition("#")
    path = (docs_pages.ROOT / page).parent / name if name else None
    target = page if path is None else path.resolve()
    assert path is None or path.exists(), f"{page}: {link}"
    if anchor:
      of = page if path is None else str(target)
      assert anchor in _anchors(of), f"{page}: {link}"


def test_files_that_pages_name_are_there() -> None:
  for page in docs_pages.pages():
    named = re.findall(
      r"`((?:gin|tools|tests|music_embed)/[\w/.]+)`", _text(page)
    )
    made = {docs_pages.file_of(block) for block in docs_pages.blocks(page)}
    for name in set(named) - made:
      assert (docs_pages.ROOT / name).exists(), f"{page}: {name}"


def test_every_macro_has_a_row() -> None:
  names = [name for row, _ in _macro_rows() for name in row]
  assert sorted(names) == sorted(_bound())


def test_values_of_macros_are_those_of_the_files() -> None:
  bound = _bound()
  checked = 0
  for names, cell in _macro_rows():
    for value, place in re.findall(
      r"(`[^`]+`|required|files) \(`([^`]+)`\)", cell
    ):
      for name in names:
        held = bound[name][place]
        is_required = "REQUIRED" in held
        assert is_required == (value == "required"), (name, place)
        if value.startswith("`"):
          assert value.strip("`") == held, (name, place)
        checked += 1
  assert checked > 30


@pytest.mark.parametrize(
  "launcher", sorted(p.name for p in docs_pages.ROOT.glob("launch/*.py"))
)
def test_every_flag_of_a_launcher_stands_in_its_row(launcher: str) -> None:
  rows = [
    line
    for line in _text("launch/README.md").splitlines()
    if line.startswith(f"| `{launcher} ")
  ]
  assert rows
  flags = re.findall(
    r'DEFINE_\w+\(\s*"(\w+)"', _text(f"launch/{launcher}"), re.DOTALL
  )
  for flag in flags:
    assert any(f"--{flag}" in row for row in rows), flag
  told = {flag for row in rows for flag in re.findall(r"--(\w+)", row)}
  assert told <= {*flags, *_SHARED}
