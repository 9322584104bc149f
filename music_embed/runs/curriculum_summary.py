"""What a curriculum has done: summary.html, and a table for the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from music_embed.core import files
from music_embed.evaluation.page import stages as page
from music_embed.runs import workdir as workdir_lib
from music_embed.training import history, progress

FILE_NAME = "summary.html"
_SMOOTHING = 0.9


def write(workdir: str, stages: Sequence[tuple[str, dict[str, Any]]]) -> str:
  """Writes `<workdir>/summary.html` from what the stages left behind.

  Args:
    workdir: parent of the stages' directories.
    stages: name and configured arguments of each one, all of them finished.

  Returns:
    The table for a terminal.
  """
  found = [_stage(workdir, name, arguments) for name, arguments in stages]
  seconds = sum(_noted(workdir, name).get("seconds", 0) for name, _ in stages)
  title = f"Curriculum {os.path.basename(os.path.abspath(workdir))}"
  html = page.render(title, found, progress.duration(seconds))
  with files.atomic_write(files.join(workdir, FILE_NAME), "w") as file:
    file.write(html)
  return page.text(found)


def _stage(workdir: str, name: str, arguments: dict[str, Any]) -> page.Stage:
  noted = _noted(workdir, name)
  plateau = arguments.get("plateau")
  ended_by = "its steps"
  if noted.get("ended_by") == "level" and plateau is not None:
    ended_by = f"level {plateau.measure}"
  return page.Stage(
    name=name,
    steps=noted["step"],
    ended_by=ended_by,
    took=progress.duration(noted.get("seconds", 0)),
    rows=history.read(files.join(workdir, name, history.FILE_NAME)),
    best_measure=arguments["loop"].best_measure,
    smoothing=_SMOOTHING if plateau is None else plateau.smoothing,
  )


def _noted(workdir: str, name: str) -> dict[str, Any]:
  return workdir_lib.finished(files.join(workdir, name)) or {"step": 0}
