"""Trains a curriculum, stage after stage: `launch/curriculum.py`."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from music_embed.core import errors, files
from music_embed.data.mining import factors as factors_lib
from music_embed.data.records import sense_labels
from music_embed.runs import config, curriculum_summary, runtime
from music_embed.runs import factorize as factorize_lib
from music_embed.runs import senses as senses_lib
from music_embed.runs import train as train_lib
from music_embed.runs import workdir as workdir_lib
from music_embed.training import strategy as strategy_lib


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stage of a curriculum: a training run.

  Attributes:
    name: of the stage and of its directory.
    gin_file: what `launch/train.py` would be given.
    warm_start: name of the stage whose network it takes over, bound to the
      macro WARM_START; None where the file asks for none.
    factors: name of the factorisation that it reads, bound to FACTORS.
    senses: name of the choice of senses that it reads, bound to SENSES.
  """

  name: str
  gin_file: str
  warm_start: str | None = None
  factors: str | None = None
  senses: str | None = None

  @property
  def needs(self) -> dict[str, tuple[str, type]]:
    """By macro, the earlier step that it names, and of which kind."""
    named = {
      "WARM_START": (self.warm_start, Stage),
      "FACTORS": (self.factors, Factorization),
      "SENSES": (self.senses, SenseChoice),
    }
    return {m: (name, kind) for m, (name, kind) in named.items() if name}


@dataclasses.dataclass(frozen=True)
class Factorization:
  """A factorisation of the graph between two stages.

  Attributes:
    name: of the step and of its directory.
    gin_file: what `launch/factorize.py` would be given.
  """

  name: str
  gin_file: str

  @property
  def needs(self) -> dict[str, tuple[str, type]]:
    """Nothing but the dataset."""
    return {}


@dataclasses.dataclass(frozen=True)
class SenseChoice:
  """Labels split by sense between two stages.

  Attributes:
    name: of the step and of its directory.
    gin_file: what `launch/senses.py` would be given.
    factors: name of the factorisation whose vectors are clustered.
    model: name of the stage on whose embeddings the choice is made.
  """

  name: str
  gin_file: str
  factors: str
  model: str

  @property
  def needs(self) -> dict[str, tuple[str, type]]:
    """By argument, the earlier step that it names, and of which kind."""
    return {
      "factors": (self.factors, Factorization),
      "model": (self.model, Stage),
    }


Step = Stage | Factorization | SenseChoice


def curriculum(
  *,
  workdir: str,
  stages: Sequence[Step],
  gin_files: Sequence[str] = (),
  gin_params: Sequence[str] = (),
  dry_run: bool = False,
) -> None:
  """Runs the stages in order, each in `<workdir>/<name>`.

  Finished stages are passed over, an interrupted one goes on, so the same
  command completes the curriculum whatever stopped it. At the end a summary
  is written to `<workdir>/summary.html` and printed as a table.

  Args:
    workdir: parent of the stages' directories.
    stages: in order; what a step names is an earlier one. Factorisations and
      choices of senses read the first training stage's dataset.
    gin_files: for every training stage after its own, e.g. a backbone or
      hardware.
    gin_params: bindings for every training stage, from the command line.
    dry_run: checks every stage's configuration and writes nothing.

  Raises:
    ConfigError: a stage's configuration is wrong, or its directory holds
      another run; all stages are checked before the first one trains.
    Interrupted: SIGTERM or Ctrl-C; the stage's checkpoint is written.
  """
  _check_names(stages)
  configured = {
    step.name: _configured(step, workdir, gin_files, gin_params)
    for step in stages
  }
  for step in stages:
    if isinstance(step, Stage):
      folder = files.join(workdir, step.name)
      workdir_lib.check_same_run(folder, _texts(configured[step.name]))
  trained = [step.name for step in stages if isinstance(step, Stage)]
  if not trained:
    raise errors.ConfigError("a curriculum needs a stage that trains")
  first = configured[trained[0]].arguments
  is_chief = strategy_lib.is_chief(first.get("strategy"))
  done = []
  for number, step in enumerate(stages, start=1):
    title = f"stage {number}/{len(stages)}: {step.name}"
    if dry_run:
      print(f"{title} ({step.gin_file})")
      continue
    print(title, file=sys.stderr)
    # Anew: what gin has made, and a stage built, serves one run.
    again = _configured(step, workdir, gin_files, gin_params)
    if isinstance(step, Stage):
      _train(files.join(workdir, step.name), again)
      done.append((step.name, again.arguments))
    elif is_chief:
      _between(step, workdir, first["dataset"], again)
    else:
      _wait_for(files.join(workdir, step.name, _LAST_FILES[type(step)]))
  if done and is_chief:
    print(curriculum_summary.write(workdir, done))
    summary = files.join(workdir, curriculum_summary.FILE_NAME)
    print(f"summary: {summary}", file=sys.stderr)


def _check_names(stages: Sequence[Step]) -> None:
  seen: dict[str, Step] = {}
  for step in stages:
    if step.name in seen:
      raise errors.ConfigError(f"two stages are called {step.name!r}")
    for name, kind in step.needs.values():
      if not isinstance(seen.get(name), kind):
        raise errors.ConfigError(
          f"stage {step.name!r} starts from {name!r}, which is not an earlier"
          f" {kind.__name__}"
        )
    seen[step.name] = step


def _train(folder: str, configured: config.Configured) -> None:
  noted = workdir_lib.finished(folder)
  if noted is None:
    train_lib.train(
      workdir=folder, texts=_texts(configured), **configured.arguments
    )
  else:
    workdir_lib.say(f"{folder}: already trained ({noted['step']} steps)")


def _between(
  step: Factorization | SenseChoice,
  workdir: str,
  dataset: str,
  configured: config.Configured,
) -> None:
  """Makes what lies between two stages; finished work is passed over."""
  named = {
    argument: files.join(workdir, name)
    for argument, (name, _) in step.needs.items()
  }
  _FUNCTIONS[type(step)](
    dataset=dataset,
    output=files.join(workdir, step.name),
    **named,
    **configured.arguments,
  )


def _wait_for(path: str) -> None:
  """Another worker writes this file when it has made the step."""
  print(f"waiting for {path} of the first worker", file=sys.stderr)
  while not files.exists(path):
    time.sleep(_POLL_S)


_POLL_S = 1.0
_LAST_FILES: dict[type, str] = {
  Factorization: factors_lib.FILE_NAME,
  SenseChoice: sense_labels.FILE_NAME,
}
_FUNCTIONS: dict[type, Callable[..., Any]] = {
  Factorization: factorize_lib.factorize,
  SenseChoice: senses_lib.senses,
}


def _texts(configured: config.Configured) -> workdir_lib.RunTexts:
  return workdir_lib.RunTexts(configured.config_text, configured.operative_text)


def _configured(
  step: Step,
  workdir: str,
  gin_files: Sequence[str],
  gin_params: Sequence[str],
) -> config.Configured:
  try:
    if not isinstance(step, Stage):
      return config.load(
        _FUNCTIONS[type(step)],
        gin_files=[step.gin_file],
        given=("dataset", "output", *step.needs),
      )
    sources = [
      f"{macro} = {files.join(workdir, name)!r}"
      for macro, (name, _) in step.needs.items()
    ]
    return config.load(
      train_lib.train,
      gin_files=[step.gin_file, *gin_files],
      gin_params=[*gin_params, *sources],
      given=("workdir", "texts", "dry_run"),
      first=runtime.configure,
    )
  except errors.ConfigError as error:
    raise errors.ConfigError(f"stage {step.name!r}: {error}") from error
