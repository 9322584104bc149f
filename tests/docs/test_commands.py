"""Every command of the pages for people is run, in order, in a tiny world."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator

import docs_formats
import docs_pages
import docs_table
import docs_tiny
import docs_world
import pytest

_LANGUAGES = {"bash", "text", "python", "gin", "json"}
_COMMANDS = docs_pages.all_commands()
_SNIPPETS = [
  block
  for page in docs_pages.pages()
  for block in docs_pages.blocks(page)
  if block.language == "python"
  and not docs_pages.file_of(block)
  and page not in docs_table.PYTHON_ELSEWHERE
]
_WRITTEN = {
  "train.tfrecord": "dataset/train.tfrecord-*",
  "train.index": "dataset/train.index-*",
  "graph.tfrecord": "dataset/graph.tfrecord-*",
  "manifest.json": "dataset/manifest.json",
  "materialized.json": "bucket/triplets/materialized.json",
  "factors.json": "factors/factors.json",
  "senses.json": "senses/senses.json",
  "run.json": "runs/label/run.json",
  "history.jsonl": "runs/label/history.jsonl",
  "finished.json": "runs/label/finished.json",
  "report.json": "report/report.json",
  "results.json": "mtt/results.json",
  "labels.tsv": "demo/export/labels.tsv",
  "recordings-00000.parquet": "embeddings/recordings-00000.parquet",
  "embed.json": "embeddings/embed.json",
  "index.json": "index/index.json",
}
"""Where the pages' commands wrote the files that the formats describe."""

_DEMO = (
  ".venv/bin/python launch/prepare.py --gin_file=gin/datasets/demo.gin"
  " --recordings=demo/corpus/recordings.csv"
  " --listening_log=demo/corpus/listening_log.csv.gz --output=demo/dataset"
  " --gin_file=tiny/prepare.gin --num_workers=1",
  ".venv/bin/python launch/train.py --gin_file=gin/runs/demo_triplet.gin"
  " --workdir=demo/runs/triplet --gin_file=tiny/train.gin",
  ".venv/bin/python launch/train.py --gin_file=gin/runs/demo_label.gin"
  " --gin_param=\"WARM_START = 'demo/runs/triplet'\""
  " --workdir=demo/runs/label --gin_file=tiny/train.gin",
  ".venv/bin/python launch/export.py --model=demo/runs/label"
  " --dataset=demo/dataset --output=demo/export",
  ".venv/bin/python launch/index.py --model=demo/export --num_workers=1"
  " --input=demo/corpus/recordings.csv --output=demo/index",
  ".venv/bin/python launch/evaluate.py --dataset=demo/dataset"
  " --model=hybrid=demo/runs/label --output=demo"
  " --gin_file=tiny/evaluate.gin",
)
"""What tools/demo.sh makes and the pages take up."""


@pytest.fixture(scope="module")
def world(
  tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[docs_world.World]:
  """The copy of the checkout, after its demo, with files of the pages."""
  folder = tmp_path_factory.mktemp("checkout")
  with tempfile.TemporaryDirectory() as short:
    made = docs_world.start(folder, pathlib.Path(short) / "server")
    try:
      docs_tiny.make(made)
      for text in _DEMO:
        done = made.run(text)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
      yield made
      print(f"\ncommands of the pages: {made.cpu_s():.0f} CPU-seconds")
    finally:
      made.end()


def _name(command: docs_pages.Command) -> str:
  return f"{command.block.page}:{command.line}"


def _put_files(world: docs_world.World, page: str, line: int) -> None:
  """Writes the files that a page gives above one of its lines."""
  for block in docs_pages.blocks(page):
    path = docs_pages.file_of(block)
    if path and block.line < line and not (world.folder / path).exists():
      (world.folder / path).write_text(block.text + "\n")


def _skip_without(program: str) -> None:
  if program and shutil.which(program) is None:
    if os.environ.get("CI"):
      pytest.fail(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")


def _ask_for_the_page(world: docs_world.World, text: str) -> None:
  with (
    world.serve(text) as served,
    urllib.request.urlopen(served.url, timeout=60) as answer,
  ):
    assert answer.status == 200
    assert b"<html" in answer.read()
  assert served.code in (0, 130)


@pytest.mark.parametrize("command", _COMMANDS, ids=_name)
def test_the_table_says_how_it_is_run(command: docs_pages.Command) -> None:
  assert len(docs_table.matching(command)) == 1, command


@pytest.mark.parametrize("command", _COMMANDS, ids=_name)
def test_it_does_what_the_page_says(
  command: docs_pages.Command, world: docs_world.World
) -> None:
  (rule,) = docs_table.matching(command)
  if rule.not_run:
    pytest.skip(rule.not_run)
  _skip_without(rule.needs)
  _put_files(world, command.block.page, command.line)
  if rule.text(command) in world.done:
    return  # Another page has it, too.
  world.done.add(rule.text(command))
  if rule.serves:
    _ask_for_the_page(world, rule.text(command))
    return
  done = world.run(rule.text(command))
  told = done.stdout + done.stderr
  assert done.returncode == rule.code, f"{rule.text(command)}\n{told}"
  assert re.search(rule.says, told), f"{rule.text(command)}\n{told}"
  for path in rule.makes:
    assert (world.folder / path).exists(), path


@pytest.mark.parametrize("block", _SNIPPETS, ids=lambda b: f"{b.page}:{b.line}")
def test_python_on_a_page_runs(
  block: docs_pages.Block, world: docs_world.World
) -> None:
  done = world.run(f".venv/bin/python -c {shlex.quote(block.text)}")
  assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", docs_formats.stated())
def test_a_file_has_what_the_formats_say(
  name: str, world: docs_world.World
) -> None:
  paths = sorted(world.folder.glob(_WRITTEN[name]))
  assert paths, _WRITTEN[name]
  assert docs_formats.held(paths[0]) == docs_formats.stated()[name]


def test_an_indexs_catalogue_has_the_columns_that_the_formats_say(
  world: docs_world.World,
) -> None:
  (path,) = world.folder.glob("index/catalogue-*.arrow")
  text = (docs_pages.ROOT / docs_formats.PAGE).read_text(encoding="utf-8")
  (row,) = re.findall(r"\| `catalogue-GGGGG.arrow` \|(.*)\|", text)
  assert set(re.findall(r"`(\w+)`", row)) == docs_formats.held(path)


def test_every_rule_is_of_a_command() -> None:
  idle = [
    rule.pattern
    for rule in docs_table.RULES
    if not any(re.fullmatch(rule.pattern, c.text) for c in _COMMANDS)
  ]
  assert not idle


def test_what_a_command_that_is_not_run_names_is_there() -> None:
  idle = [c for c in _COMMANDS if docs_table.matching(c)[0].not_run]
  named = [
    name
    for command in idle
    for name in re.findall(r"[\w./-]+\.(?:lock|sh|gin)\b", command.text)
  ]
  assert len(named) > 3
  for name in named:
    assert (docs_pages.ROOT / name).exists(), name


def test_scripts_that_only_ci_runs_are_run_there() -> None:
  text = (docs_pages.ROOT / ".ci" / "run").read_text(encoding="utf-8")
  scripts = [
    command.text.split()[1]
    for command in _COMMANDS
    if any("CI" in rule.not_run for rule in docs_table.matching(command))
  ]
  assert scripts
  assert all(f"bash {script}" in text for script in scripts)


@pytest.mark.parametrize("page", docs_table.PYTHON_ELSEWHERE)
def test_python_of_other_pages_is_run_by_the_test_that_is_named(
  page: str,
) -> None:
  test = docs_pages.ROOT / docs_table.PYTHON_ELSEWHERE[page]
  assert pathlib.Path(page).name in test.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", docs_pages.pages())
def test_every_block_says_what_it_is(page: str) -> None:
  for block in docs_pages.blocks(page):
    assert block.language in _LANGUAGES, f"{page}:{block.line}"


@pytest.mark.parametrize("page", docs_pages.pages())
def test_files_that_a_page_shows_whole_are_as_they_are(page: str) -> None:
  for block in docs_pages.blocks(page):
    shown = re.search(r"`(\S+)`, whole:$", block.before)
    if shown:
      path = docs_pages.ROOT / shown[1]
      assert block.text + "\n" == path.read_text(encoding="utf-8")
