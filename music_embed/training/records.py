"""What a run writes about itself while it trains."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from music_embed.core import files
from music_embed.training import history as history_lib
from music_embed.training import progress as progress_lib

SUMMARIES = "summaries"
"""Folder of a run that TensorBoard reads."""


class Records:
  """history.jsonl, timing.jsonl, and TensorBoard's scalars."""

  def __init__(self, workdir: str | None, *, summarized: int, validated: int):
    """Opens the files; drops rows that a resumed run will write again.

    Args:
      workdir: the run's directory; None writes nothing: another worker does.
      summarized: step of the last row of training that stays.
      validated: step of the last row of the validation that stays.
    """
    self._writes = workdir is not None
    if workdir is None:
      return
    self._history = history_lib.History(
      files.join(workdir, history_lib.FILE_NAME),
      first_step=summarized,
      validated_step=validated,
    )
    self._timing = history_lib.Timing(
      files.join(workdir, history_lib.TIMING_FILE_NAME)
    )
    self._writer = tf.summary.create_file_writer(files.join(workdir, SUMMARIES))

  def train(
    self, step: int, values: Mapping[str, float], speed: progress_lib.Speed
  ) -> None:
    """Means over the steps since the last row, and how fast those went."""
    if not self._writes:
      return
    self._history.append(step=step, split="train", values=values)
    self._time(step, "train", speed.seconds, speed.to_json())
    rates = {f"speed/{k}": v for k, v in speed.to_json().items()}
    self._scalars(step, {**values, **rates})

  def validation(
    self, step: int, values: Mapping[str, float], seconds: float
  ) -> None:
    """Measures of a whole validation."""
    if not self._writes:
      return
    self._history.append(step=step, split="validation", values=values)
    self._time(step, "validation", seconds)
    self._scalars(step, {f"validation/{k}": v for k, v in values.items()})

  def other_time(self, step: int, part: str, seconds: float) -> None:
    """Seconds of steps without a row yet, or of a checkpoint."""
    if self._writes:
      self._time(step, part, seconds)

  def _time(
    self,
    step: int,
    part: str,
    seconds: float,
    more: Mapping[str, float] | None = None,
  ) -> None:
    self._timing.append(step=step, part=part, seconds=seconds, **(more or {}))

  def _scalars(self, step: int, values: Mapping[str, float]) -> None:
    with self._writer.as_default(step=step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._writer.flush()
