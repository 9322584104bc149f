"""history.jsonl: what a run measured; timing.jsonl: how long that took.

Rows of the history repeat exactly when a run is interrupted and resumed; wall
and CPU time do not, and stand in a file of their own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from music_embed.core import files

FILE_NAME = "history.jsonl"
TIMING_FILE_NAME = "timing.jsonl"


class History:
  """Append-only rows `{"step": s, "split": "train", "<measure>": value}`."""

  def __init__(self, path: str, *, first_step: int, validated_step: int):
    """Opens the file and drops rows that will recur.

    Args:
      path: the history file; created when missing.
      first_step: the step that training resumes from.
      validated_step: of the last validation that the checkpoint knows of;
        one that was interrupted is done again.
    """
    self._path = path
    last = {"validation": validated_step}
    rows = [
      row
      for row in read(path)
      if row["step"] <= last.get(row["split"], first_step)
    ]
    with files.atomic_write(path, "w") as file:
      file.writelines(json.dumps(row) + "\n" for row in rows)

  def append(
    self, *, step: int, split: str, values: Mapping[str, float]
  ) -> None:
    """Adds one row."""
    _append(self._path, {"step": step, "split": split, **values})


def read(path: str) -> list[dict[str, Any]]:
  """Rows of a history or timing file, oldest first.

  Args:
    path: the file; a missing one has no rows, and a half-written last row is
      left out.
  """
  if not os.path.exists(path):
    return []
  rows = []
  with open(path, encoding="utf-8") as file:
    for line in file:
      if line.endswith("\n"):
        rows.append(json.loads(line))
  return rows


class Timing:
  """Append-only rows `{"step": s, "part": "train", "seconds": t, ...}`.

  All rows stay: what was done twice has taken its time twice. Each row has
  the "cpu_seconds" of this process, user and system, of all its threads,
  since the row before, or since the file was opened.
  """

  def __init__(self, path: str):
    """Goes on with a timing file, or begins one."""
    self._path = path
    if os.path.exists(path):  # A half-written last row would spoil the next.
      rows = read(path)
      with files.atomic_write(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    self._cpu_before = time.process_time()

  def append(
    self, *, step: int, part: str, seconds: float, **more: float
  ) -> None:
    """Adds one row."""
    cpu = time.process_time()
    row = {
      "step": step,
      "part": part,
      "seconds": seconds,
      "cpu_seconds": cpu - self._cpu_before,
      **more,
    }
    self._cpu_before = cpu
    _append(self._path, {k: _short(v) for k, v in row.items()})


def total_seconds(path: str) -> float:
  """Seconds of all rows of a timing file."""
  return float(sum(row["seconds"] for row in read(path)))


def total_cpu_seconds(path: str) -> float | None:
  """CPU seconds of all rows of a timing file; None where some lack them."""
  rows = read(path)
  if any("cpu_seconds" not in row for row in rows):
    return None
  return float(sum(row["cpu_seconds"] for row in rows))


def _append(path: str, row: Mapping[str, Any]) -> None:
  with open(path, "a", encoding="utf-8") as file:
    file.write(json.dumps(row) + "\n")


def _short(value: Any) -> Any:
  return round(value, 4) if isinstance(value, float) else value
