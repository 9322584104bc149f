"""The rows of a suite: what they are, and what is known of their runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from music_embed.core import errors, files
from music_embed.data.records import prepared
from music_embed.evaluation import paper_tables
from music_embed.runs import config
from music_embed.runs import train as train_lib
from music_embed.runs import workdir as workdir_lib
from music_embed.training import checkpoints, warm_start

FACTORS = "factors"
"""Folder of a suite's output that holds the vectors of the graph."""

_RUNS = "runs"


@dataclasses.dataclass(frozen=True)
class Row:
  """One network of a suite.

  Attributes:
    name: of the system in the report, and of the run's directory.
    title: of the row, as the paper's tables have it where they have it.
    gin_files: what `launch/train.py` would be given.
    train_steps: bound to the macro TRAIN_STEPS; None leaves the files'.
    warm_start: name of the row whose network it takes over, bound to
      WARM_START; None where the files ask for none.
    with_factors: whether the suite's factors are bound to FACTORS.
  """

  name: str
  title: str
  gin_files: Sequence[str]
  train_steps: int | None = None
  warm_start: str | None = None
  with_factors: bool = False


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a suite's rows are trained, and what they share.

  Attributes:
    dataset: directory that `launch/prepare.py` wrote.
    output: of the suite.
    gin_files: of every row after its own, e.g. hardware.
    gin_params: bindings of every row, after its own.
  """

  dataset: str
  output: str
  gin_files: Sequence[str] = ()
  gin_params: Sequence[str] = ()

  def workdir(self, name: str) -> str:
    """Directory of a row's run."""
    return files.join(self.output, _RUNS, name)

  @property
  def factors(self) -> str:
    """Directory of the graph's vectors."""
    return files.join(self.output, FACTORS)

  def all_gin_files(self, row: Row) -> list[str]:
    """Gin files of a row's run."""
    return [*row.gin_files, *self.gin_files]

  def all_gin_params(self, row: Row) -> list[str]:
    """Bindings of a row's run."""
    params = [f"DATASET = {self.dataset!r}"]
    if row.train_steps is not None:
      params.append(f"TRAIN_STEPS = {row.train_steps}")
    if row.warm_start is not None:
      params.append(f"WARM_START = {self.workdir(row.warm_start)!r}")
    if row.with_factors:
      params.append(f"FACTORS = {self.factors!r}")
    return [*params, *self.gin_params]

  def arguments(self, row: Row) -> list[str]:
    """What `launch/train.py` is given."""
    return [
      *(f"--gin_file={name}" for name in self.all_gin_files(row)),
      *(f"--gin_param={param}" for param in self.all_gin_params(row)),
      f"--workdir={self.workdir(row.name)}",
    ]


def chosen(rows: Sequence[Row], only: Sequence[str]) -> list[Row]:
  """The rows of the given names and those that they start from.

  Args:
    rows: of the suite, checked by `check_names`.
    only: names; none means all rows.

  Raises:
    ConfigError: a name that no row has.
  """
  by_name = {row.name: row for row in rows}
  wanted: set[str] = set()
  for name in only or by_name:
    if name not in by_name:
      raise errors.ConfigError(
        f"--only={name}: no such row; there are {', '.join(by_name)}"
      )
    following: str | None = name
    while following is not None:
      wanted.add(following)
      following = by_name[following].warm_start
  return [row for row in rows if row.name in wanted]


def check_names(rows: Sequence[Row], reserved: Sequence[str]) -> None:
  """Checks that names are unique and that rows start from earlier ones.

  Args:
    rows: of the suite.
    reserved: names of baselines.

  Raises:
    ConfigError: they don't.
  """
  seen: set[str] = set()
  for row in rows:
    if row.name in reserved:
      raise errors.ConfigError(
        f"row {row.name!r}: a baseline has this name; choose another"
      )
    if row.name in seen:
      raise errors.ConfigError(f"two rows are called {row.name!r}")
    if row.warm_start is not None and row.warm_start not in seen:
      raise errors.ConfigError(
        f"row {row.name!r} starts from {row.warm_start!r}, which is not an "
        f"earlier row"
      )
    seen.add(row.name)


def check_run(place: Place, row: Row, data: prepared.PreparedDataset) -> None:
  """Checks a row's configuration, and that its directory is its own.

  Raises:
    ConfigError: gin files or bindings are wrong, or the directory holds a run
      of another configuration or on another dataset.
  """
  folder = place.workdir(row.name)
  try:
    configured = config.load(
      train_lib.train,
      gin_files=place.all_gin_files(row),
      gin_params=place.all_gin_params(row),
      given=("workdir", "texts", "dry_run"),
    )
    workdir_lib.check_dataset(folder, data)
  except errors.ConfigError as error:
    raise errors.ConfigError(f"row {row.name!r}: {error}") from error
  texts = workdir_lib.RunTexts(configured.config_text)
  if lines := workdir_lib.differences(folder, texts):
    raise errors.ConfigError(
      f"row {row.name!r}: {folder} holds a run of another configuration "
      f"(- its own, + the one asked for: {'; '.join(lines)}): choose another "
      "--output"
    )


def budget(folder: str) -> paper_tables.Budget | None:
  """What a finished run took; None where it has not finished."""
  noted: dict[str, Any] | None = workdir_lib.finished(folder)
  if noted is None:
    return None
  return paper_tables.Budget(
    steps=noted["step"],
    ended_by=noted.get("ended_by"),
    windows=noted.get("windows"),
    cpu_seconds=noted.get("cpu_seconds"),
    seconds=noted.get("seconds"),
  )


def state(folder: str) -> str:
  """`finished at step 300`, `begun, at step 100` or `not begun`."""
  noted = workdir_lib.finished(folder)
  if noted is not None:
    return f"finished at step {noted['step']:,}"
  newest = warm_start.latest(folder, warm_start.LAST)
  if newest is None:
    return "not begun"
  return f"begun, at step {checkpoints.step_of(newest):,}"
