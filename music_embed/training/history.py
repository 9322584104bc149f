"""history.jsonl: what a run measured, one row a measurement."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from music_embed.core import files

FILE_NAME = "history.jsonl"


class History:
  """Append-only rows `{"step": s, "split": "train", "<measure>": value}`."""

  def __init__(self, path: str, *, first_step: int):
    """Opens the file and drops rows after `first_step`: they will recur.

    Args:
      path: the history file; created when missing.
      first_step: the step that training resumes from.
    """
    self._path = path
    rows = [row for row in read(path) if row["step"] <= first_step]
    with files.atomic_write(path, "w") as file:
      file.writelines(json.dumps(row) + "\n" for row in rows)

  def append(
    self, *, step: int, split: str, values: Mapping[str, float]
  ) -> None:
    """Adds one row."""
    row = {"step": step, "split": split, **values}
    with open(self._path, "a", encoding="utf-8") as file:
      file.write(json.dumps(row) + "\n")


def read(path: str) -> list[dict[str, Any]]:
  """Rows of a history file, oldest first; a half-written last row is left out.

  Args:
    path: the file; a missing one has no rows.
  """
  if not os.path.exists(path):
    return []
  rows = []
  with open(path, encoding="utf-8") as file:
    for line in file:
      if line.endswith("\n"):
        rows.append(json.loads(line))
  return rows
