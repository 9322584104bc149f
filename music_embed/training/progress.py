"""What a person sees while a stage trains."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping


class Progress:
  """Prints a line a loop: step, losses, windows/s and time left."""

  def __init__(self, *, name: str, total_steps: int, windows_per_step: int):
    """Creates the printer.

    Args:
      name: of the stage.
      total_steps: steps of the whole stage.
      windows_per_step: network input windows of one global batch.
    """
    self._name = name
    self._total = total_steps
    self._windows = windows_per_step
    self._time: float | None = None
    self._step = 0

  def start(self, step: int) -> None:
    """Starts the clock at `step`."""
    self._time, self._step = time.monotonic(), step

  def line(self, step: int, values: Mapping[str, float]) -> str:
    """The line for a loop that ended at `step`, since the last call."""
    now = time.monotonic()
    elapsed = max(now - (self._time or now), 1e-9)
    steps_per_s = (step - self._step) / elapsed
    self._time, self._step = now, step
    losses = "  ".join(
      f"{k} {v:.4f}" for k, v in values.items() if k.endswith("loss")
    )
    left_s = (self._total - step) / max(steps_per_s, 1e-9)
    return (
      f"{self._name}  step {step}/{self._total}  {losses}  "
      f"{steps_per_s * self._windows:.0f} windows/s  "
      f"{duration(left_s)} left"
    )

  def report(self, step: int, values: Mapping[str, float]) -> None:
    """Prints `line` to standard error."""
    print(self.line(step, values), file=sys.stderr, flush=True)

  def warn(self, message: str) -> None:
    """Prints a warning to standard error."""
    print(f"{self._name}  WARNING: {message}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
  """`95` -> "1 min 35 s"; `7300` -> "2 h 01 min"."""
  whole = round(seconds)
  if whole < 60:
    return f"{whole} s"
  if whole < 3600:
    return f"{whole // 60} min {whole % 60:02d} s"
  return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
