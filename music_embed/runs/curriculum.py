"""Trains a curriculum, stage after stage: `launch/curriculum.py`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from music_embed.core import errors, files
from music_embed.runs import config, runtime
from music_embed.runs import train as train_lib


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
  gin_params: Sequence[str] = (),
  dry_run: bool = False,
) -> None:
  """Runs the stages in order, each in `<workdir>/<name>`.

  Finished stages are passed over, an interrupted one goes on, so the same
  command completes the curriculum whatever stopped it.

  Args:
    workdir: parent of the stages' directories.
    stages: in order; a warm start names an earlier one.
    gin_params: bindings for every stage, from the command line.
    dry_run: checks every stage's configuration and writes nothing.

  Raises:
    ConfigError: a stage's configuration is wrong; all stages are checked
      before the first one trains.
  """
  seen: set[str] = set()
  for stage in stages:
    if stage.warm_start is not None and stage.warm_start not in seen:
      raise errors.ConfigError(
        f"stage {stage.name!r} starts from {stage.warm_start!r}, which is not "
        f"an earlier stage"
      )
    seen.add(stage.name)
    _configured(stage, workdir, gin_params)
  for number, stage in enumerate(stages, start=1):
    if dry_run:
      print(f"stage {number}/{len(stages)}: {stage.name} ({stage.gin_file})")
      continue
    print(f"stage {number}/{len(stages)}: {stage.name}", file=sys.stderr)
    configured = _configured(stage, workdir, gin_params)
    train_lib.train(
      workdir=files.join(workdir, stage.name),
      texts=train_lib.RunTexts(
        configured.config_text, configured.operative_text
      ),
      **configured.arguments,
    )


def _configured(
  stage: Stage, workdir: str, gin_params: Sequence[str]
) -> config.Configured:
  params = list(gin_params)
  if stage.warm_start is not None:
    params.append(f"WARM_START = {files.join(workdir, stage.warm_start)!r}")
  try:
    return config.load(
      train_lib.train,
      gin_files=[stage.gin_file],
      gin_params=params,
      given=("workdir", "texts", "dry_run"),
      first=runtime.configure,
    )
  except errors.ConfigError as error:
    raise errors.ConfigError(f"stage {stage.name!r}: {error}") from error
