"""Trains a curriculum, stage after stage: `launch/curriculum.py`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from music_embed.core import errors, files
from music_embed.runs import config, curriculum_summary, runtime
from music_embed.runs import train as train_lib
from music_embed.runs import workdir as workdir_lib
from music_embed.training import strategy as strategy_lib


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stage of a curriculum.

  Attributes:
    name: of the stage and of its directory.
    gin_file: what `launch/train.py` would be given.
    warm_start: name of the stage whose network it takes over, bound to the
      macro WARM_START; None where the file asks for none.
  """

  name: str
  gin_file: str
  warm_start: str | None = None


def curriculum(
  *,
  workdir: str,
  stages: Sequence[Stage],
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
    stages: in order; a warm start names an earlier one.
    gin_files: for every stage after its own, e.g. a backbone or hardware.
    gin_params: bindings for every stage, from the command line.
    dry_run: checks every stage's configuration and writes nothing.

  Raises:
    ConfigError: a stage's configuration is wrong, or its directory holds
      another run; all stages are checked before the first one trains.
    Interrupted: SIGTERM or Ctrl-C; the stage's checkpoint is written.
  """
  seen: set[str] = set()
  for stage in stages:
    if stage.name in seen:
      raise errors.ConfigError(f"two stages are called {stage.name!r}")
    if stage.warm_start is not None and stage.warm_start not in seen:
      raise errors.ConfigError(
        f"stage {stage.name!r} starts from {stage.warm_start!r}, which is not "
        f"an earlier stage"
      )
    seen.add(stage.name)
    configured = _configured(stage, workdir, gin_files, gin_params)
    folder = files.join(workdir, stage.name)
    workdir_lib.check_same_run(folder, _texts(configured))
  done = []
  for number, stage in enumerate(stages, start=1):
    if dry_run:
      print(f"stage {number}/{len(stages)}: {stage.name} ({stage.gin_file})")
      continue
    print(f"stage {number}/{len(stages)}: {stage.name}", file=sys.stderr)
    configured = _configured(stage, workdir, gin_files, gin_params)
    folder = files.join(workdir, stage.name)
    noted = workdir_lib.finished(folder)
    if noted is None:
      train_lib.train(
        workdir=folder, texts=_texts(configured), **configured.arguments
      )
    else:
      workdir_lib.say(f"{folder}: already trained ({noted['step']} steps)")
    done.append((stage.name, configured.arguments))
  if done and strategy_lib.is_chief(done[-1][1].get("strategy")):
    print(curriculum_summary.write(workdir, done))
    summary = files.join(workdir, curriculum_summary.FILE_NAME)
    print(f"summary: {summary}", file=sys.stderr)


def _texts(configured: config.Configured) -> workdir_lib.RunTexts:
  return workdir_lib.RunTexts(configured.config_text, configured.operative_text)


def _configured(
  stage: Stage,
  workdir: str,
  gin_files: Sequence[str],
  gin_params: Sequence[str],
) -> config.Configured:
  params = list(gin_params)
  if stage.warm_start is not None:
    params.append(f"WARM_START = {files.join(workdir, stage.warm_start)!r}")
  try:
    return config.load(
      train_lib.train,
      gin_files=[stage.gin_file, *gin_files],
      gin_params=params,
      given=("workdir", "texts", "dry_run"),
      first=runtime.configure,
    )
  except errors.ConfigError as error:
    raise errors.ConfigError(f"stage {stage.name!r}: {error}") from error
