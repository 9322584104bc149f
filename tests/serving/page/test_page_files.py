"""The page's files as they lie: what is vendored, what can be read."""

import hashlib
import pathlib
import re

import pytest

_PAGE = pathlib.Path(__file__).parents[3] / "music_embed" / "serving" / "page"
_VENDOR = _PAGE / "vendor"
_PUB_SUB = "e20326a1c08a60c1a299a309594a3cb4b9ccf35bc9ab6c0d267864d76018b4fc"


def _sha256(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()


def test_vendored_scripts_are_those_that_their_readme_names() -> None:
  table = re.findall(
    r"^\| `(\S+)` \| (\S+) \| ([\d.]+) \| MIT \|.*`([0-9a-f]{64})` \|$",
    (_VENDOR / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
  )
  named = {name: digest for name, _, _, digest in table}
  assert named == {
    path.name: _sha256(path.read_bytes()) for path in _VENDOR.glob("*.js")
  }
  licences = (_VENDOR / "LICENSE").read_text(encoding="utf-8")
  for _, package, version, _ in table:
    assert f"\n{package} {version}\n" in licences


def test_the_wrapped_script_is_its_packages_file_otherwise() -> None:
  text = (_VENDOR / "pub-sub-es.js").read_text(encoding="utf-8")
  start, end = "(() => {\n", "globalThis.createPubSub = createPubSub;\n})();\n"
  assert text.startswith(start)
  assert text.endswith(end)
  inner = text[len(start) : -len(end)]
  exports = (
    "export { globalPubSub, createPubSub };\nexport default createPubSub;\n"
  )
  assert _sha256((inner + exports).encode()) == _PUB_SUB
  assert _PUB_SUB in (_VENDOR / "README.md").read_text(encoding="utf-8")


def test_the_page_names_each_of_its_scripts_and_nothing_elsewhere() -> None:
  html = (_PAGE / "index.html").read_text(encoding="utf-8")
  scripts = re.findall(r'<script defer src="assets/([^"]+)"></script>', html)
  assert html.count("<script") == len(scripts)
  assert len(scripts) == len(set(scripts))
  there = {p.relative_to(_PAGE).as_posix() for p in _PAGE.rglob("*.js")}
  assert set(scripts) == there
  addresses = re.findall(r'(?:src|href)="([^"]+)"', html)
  for address in addresses:
    assert not re.match(r"https?:|//", address)
  assert not re.search(r"\son\w+=|<style", html)  # A strict policy refuses.
  style = (_PAGE / "style.css").read_text(encoding="utf-8")
  assert "url(" not in style
  assert "@import" not in style


def test_scripts_do_not_write_markup() -> None:
  for path in _PAGE.glob("*.js"):
    text = path.read_text(encoding="utf-8")
    for unsafe in (
      "innerHTML",
      "outerHTML",
      "insertAdjacent",
      "document.write",
    ):
      assert unsafe not in text, path.name
    assert len(text.splitlines()) <= 300, path.name


def _themes() -> dict[str, dict[str, str]]:
  style = (_PAGE / "style.css").read_text(encoding="utf-8")
  light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
  pattern = r"--([\w-]+): (#[0-9a-f]{6});"
  return {
    "light": dict(re.findall(pattern, light)),
    "dark": dict(re.findall(pattern, dark)),
  }


def _luminance(color: str) -> float:
  """Relative luminance of WCAG 2.2."""
  channels = [value / 255 for value in bytes.fromhex(color[1:])]
  red, green, blue = (
    c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
    for c in channels
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
  low, high = sorted((_luminance(one), _luminance(other)))
  return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_and_points_stand_out_from_what_they_lie_on(name: str) -> None:
  theme = _themes()[name]
  assert _contrast("#000000", "#ffffff") == pytest.approx(21)
  for ground in ("paper", "sheet", "wash"):
    for text in ("ink", "soft", "accent"):
      assert _contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    assert _contrast(theme["focus"], theme[ground]) >= 3
  assert _contrast(theme["on-accent"], theme["accent"]) >= 4.5
  for position in range(9):
    assert _contrast(theme[f"class-{position}"], theme["paper"]) >= 3
