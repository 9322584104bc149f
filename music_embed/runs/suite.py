"""Trains and compares all networks of a paper: `launch/evaluate.py --suite`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.core import errors, files
from music_embed.data.records import prepared
from music_embed.evaluation import paper_tables, paper_text
from music_embed.runs import child_command, suite_rows
from music_embed.runs import evaluate as evaluate_lib

Row = suite_rows.Row


@dataclasses.dataclass(frozen=True)
class Launchers:
  """Commands that a suite starts as processes of their own.

  Attributes:
    train: program and first arguments of `launch/train.py`.
    factorize: of `launch/factorize.py`.
  """

  train: Sequence[str]
  factorize: Sequence[str]


def suite(
  *,
  dataset: str,
  output: str,
  launchers: Launchers,
  rows: Sequence[Row],
  factorize_gin_files: Sequence[str] = (),
  settings: Mapping[str, Any] | None = None,
  only: Sequence[str] = (),
  gin_files: Sequence[str] = (),
  gin_params: Sequence[str] = (),
  dry_run: bool = False,
) -> dict[str, Any]:
  """Trains the rows that are missing, evaluates all, and prints the tables.

  Finished rows are passed over, an interrupted one goes on, so the same
  command completes the suite whatever stopped it. A row that fails is marked
  so, and the others are trained nevertheless. What has finished is evaluated,
  also what `only` leaves out. Writes runs/<row>/, factors/, report.json,
  report.html, tables.json and tables.md.

  Args:
    dataset: directory that `launch/prepare.py` wrote.
    output: directory of all that is written.
    launchers: what trains and factorises.
    rows: in the order of their training.
    factorize_gin_files: what `launch/factorize.py` is given.
    settings: arguments of `evaluate.evaluate` but its flags.
    only: names of the rows to train, with those that they start from; none
      means all.
    gin_files: of every row, after its own.
    gin_params: bindings of every row, from the command line.
    dry_run: checks everything, prints what would be done, writes nothing.

  Returns:
    What tables.json holds; empty for a dry run.

  Raises:
    ConfigError: a row's name or configuration is wrong, or its directory
      holds another run; all are checked before the first one trains.
    DataError: the dataset is missing; or rows have failed, the others being
      in the tables, which are written.
    KeyboardInterrupt: SIGTERM or Ctrl-C; the row's checkpoint is written.
  """
  suite_rows.check_names(rows, evaluate_lib.RESERVED)
  wanted = suite_rows.chosen(rows, only)
  files.require_local(output, "output")
  data = prepared.PreparedDataset(dataset)
  place = suite_rows.Place(dataset, output, gin_files, gin_params)
  for row in rows:
    suite_rows.check_run(place, row, data)
  work = _Work(place, launchers, factorize_gin_files)
  if dry_run:
    print(work.plan(rows, wanted))
    return {}
  work.train(wanted)
  networks = [work.network(row, wanted) for row in rows]
  tables = _tables(place, networks, settings or {})
  if work.failed:
    raise errors.DataError(
      f"{len(work.failed)} of {len(wanted)} rows failed ("
      + "; ".join(f"{name}: {why}" for name, why in work.failed.items())
      + "); the same command tries them again"
    )
  return tables


class _Work:
  """Trains rows and remembers which have failed."""

  def __init__(
    self,
    place: suite_rows.Place,
    launchers: Launchers,
    factorize_gin_files: Sequence[str],
  ) -> None:
    self.failed: dict[str, str] = {}
    self._place = place
    self._launchers = launchers
    self._factorize = [
      *launchers.factorize,
      *(f"--gin_file={name}" for name in factorize_gin_files),
      f"--dataset={place.dataset}",
      f"--output={place.factors}",
    ]

  def plan(self, rows: Sequence[Row], wanted: Sequence[Row]) -> str:
    """What would be done, row by row."""
    lines = []
    if self._needs_factors(wanted):
      lines.append(f"factors: {shlex.join(self._factorize)}")
    for row in rows:
      state = suite_rows.state(self._place.workdir(row.name))
      if row not in wanted:
        lines.append(f"{row.name}: left out ({state})")
      elif self._is_finished(row):
        lines.append(f"{row.name}: {state}")
      else:
        command = [*self._launchers.train, *self._place.arguments(row)]
        lines.append(f"{row.name}: {state}: {shlex.join(command)}")
    return "\n".join(lines)

  def train(self, wanted: Sequence[Row]) -> None:
    """Trains what has not finished, one row after the other."""
    no_factors = ""
    if self._needs_factors(wanted):
      files.make_dirs(self._place.output)
      no_factors = child_command.run(self._factorize).reason
    for number, row in enumerate(wanted, start=1):
      _say(f"row {number}/{len(wanted)}: {row.name}")
      if self._is_finished(row):
        state = suite_rows.state(self._place.workdir(row.name))
        _say(f"{self._place.workdir(row.name)}: {state}")
      elif why := self._hindered(row, no_factors):
        self.failed[row.name] = why
      else:
        self._train(row)

  def network(self, row: Row, wanted: Sequence[Row]) -> paper_tables.Network:
    """The row as the tables show it."""
    folder = self._place.workdir(row.name)
    budget = suite_rows.budget(folder)
    state, reason = paper_tables.TRAINED, ""
    if row.name in self.failed:
      state, reason = paper_tables.FAILED, self.failed[row.name]
    elif budget is None:
      state, reason = paper_tables.NOT_RUN, suite_rows.state(folder)
    return paper_tables.Network(
      name=row.name,
      title=row.title,
      state=state,
      reason=reason,
      warm_start=row.warm_start,
      budget=budget,
    )

  def _train(self, row: Row) -> None:
    command = [*self._launchers.train, *self._place.arguments(row)]
    ended = child_command.run(command)
    if ended.code:
      self.failed[row.name] = ended.reason
      _say(f"row {row.name} failed: {ended.reason}")

  def _hindered(self, row: Row, no_factors: str) -> str:
    if row.warm_start in self.failed:
      return f"{row.warm_start} failed, from which it starts"
    return (
      f"no factors: {no_factors}" if row.with_factors and no_factors else ""
    )

  def _needs_factors(self, wanted: Sequence[Row]) -> bool:
    """A finished row needs none any more."""
    return any(
      row.with_factors and not self._is_finished(row) for row in wanted
    )

  def _is_finished(self, row: Row) -> bool:
    return suite_rows.budget(self._place.workdir(row.name)) is not None


def _tables(
  place: suite_rows.Place,
  networks: Sequence[paper_tables.Network],
  settings: Mapping[str, Any],
) -> dict[str, Any]:
  """Evaluates what has finished; writes and prints the tables."""
  models = {
    network.name: place.workdir(network.name)
    for network in networks
    if network.budget is not None
  }
  measured = None
  if models:
    measured = evaluate_lib.evaluate(
      dataset=place.dataset, models=models, output=place.output, **settings
    )
  tables = paper_tables.tables(measured, networks)
  files.make_dirs(place.output)
  with files.atomic_write(files.join(place.output, "tables.md"), "w") as file:
    file.write(paper_text.markdown(tables))
  files.write_json(files.join(place.output, "tables.json"), tables)
  print(f"\n{paper_text.text(tables)}", flush=True)
  return tables


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
