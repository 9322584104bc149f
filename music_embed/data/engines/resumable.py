"""Phases of a job whose finished tasks are kept when it is interrupted."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

from music_embed.core import files
from music_embed.data.engines import base


def map_once(
  engine: base.Engine,
  function: Callable[[Any], Any],
  tasks: Sequence[Any],
  *,
  folder: str,
  plan: str,
  description: str,
  unit: str = "task",
) -> list[Any]:
  """Like `Engine.map`, without the tasks that an earlier run finished.

  Each task notes its result in a file, after those that it writes itself.

  Args:
    engine: runs the tasks.
    function: as for `Engine.map`; its results are JSON values.
    tasks: their `repr` says all that distinguishes them.
    folder: where results are noted; created where missing.
    plan: how the job was cut into tasks, in this phase and those before it:
      results that were noted under another plan do not count.
    description: of the progress bar.
    unit: what the bar counts.

  Returns:
    The results in the order of the tasks, as read from JSON.
  """
  files.make_dirs(folder)
  marks = [
    (os.path.join(folder, f"{number:06d}.json"), f"{plan} {task!r}", task)
    for number, task in enumerate(tasks)
  ]
  todo = [mark for mark in marks if _noted(mark[0], mark[1]) is None]
  run = functools.partial(_run, function)
  engine.map(run, todo, description=description, unit=unit)
  return [files.read_json(path)["result"] for path, _, _ in marks]


def _run(function: Callable[[Any], Any], mark: tuple[str, str, Any]) -> None:
  path, key, task = mark
  files.write_json(path, {"key": key, "result": function(task)})


def _noted(path: str, key: str) -> Any:
  if not os.path.exists(path):
    return None
  noted = files.read_json(path)
  return noted if noted["key"] == key else None
