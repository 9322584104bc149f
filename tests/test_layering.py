"""Imports go one way: design table of packages and their ranks."""

import ast
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_RANKS = {
  "core": 0,
  "audio": 1,
  "data": 2,
  "models": 2,
  "objectives": 3,
  "training": 4,
  "evaluation": 4,
  "export": 4,
  "retrieval": 4,
  "runs": 5,
  "serving": 5,
}
_FILES = sorted((_ROOT / "music_embed").rglob("*.py"))


def _package(path):
  parts = path.relative_to(_ROOT / "music_embed").parts
  return parts[0] if len(parts) > 1 else None


def _imported_packages(tree):
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, "relative imports hide the layer they reach"
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
      continue
    for name in names:
      parts = name.split(".")
      if parts[0] == "launch":
        yield "launch"
      elif parts[0] == "music_embed" and len(parts) > 1:
        yield parts[1]


def _violations(package, tree):
  rank = _RANKS[package]
  return [
    imported
    for imported in _imported_packages(tree)
    if imported != package and _RANKS.get(imported, 99) >= rank
  ]


@pytest.mark.parametrize(
  "path", _FILES, ids=[str(p.relative_to(_ROOT)) for p in _FILES]
)
def test_a_package_imports_only_from_lower_ranks(path):
  package = _package(path)
  if package is None:
    return
  assert package in _RANKS, f"{package} has no rank in the layering table"
  tree = ast.parse(path.read_text(encoding="utf-8"))
  assert not _violations(package, tree)


def test_a_forbidden_import_would_be_found():
  tree = ast.parse("from music_embed.training import loop")
  assert _violations("models", tree) == ["training"]
  tree = ast.parse("import music_embed.models.embedder")
  assert _violations("data", tree) == ["models"]


def test_only_the_config_module_imports_gin():
  users = []
  for path in _FILES:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
      names = []
      if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
      elif isinstance(node, ast.ImportFrom):
        names = [node.module]
      if any(name.split(".")[0] == "gin" for name in names):
        users.append(str(path.relative_to(_ROOT)))
  assert users == ["music_embed/runs/config.py"]
