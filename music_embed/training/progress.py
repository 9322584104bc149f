"""What a person sees while a stage trains."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping

_MAX_COLUMNS = 118
# In this order, as far as they fit.
_SHARES = ("mined", "violations", "spread", "top_label_hit", "active")


@dataclasses.dataclass(frozen=True)
class Speed:
  """How fast the steps since the last report went.

  Attributes:
    seconds: of wall time.
    windows_per_s: network input windows a second.
    input_wait_share: of the time in which steps waited for their batches.
  """

  seconds: float
  windows_per_s: float
  input_wait_share: float

  def to_json(self) -> dict[str, float]:
    """All but the seconds."""
    return {
      "windows_per_s": self.windows_per_s,
      "input_wait_share": self.input_wait_share,
    }


class Progress:
  """Prints a line a summary: step, losses, shares, rates and time left."""

  def __init__(
    self,
    *,
    name: str,
    total_steps: int,
    windows_per_step: int,
    may_end_early: bool = False,
    is_silent: bool = False,
  ):
    """Creates the printer.

    Args:
      name: of the stage.
      total_steps: steps of the whole stage, at most.
      windows_per_step: network input windows of one global batch.
      may_end_early: whether a plateau may end it: "<" before the time left.
      is_silent: prints nothing: another worker does.
    """
    self._name = name
    self._total = total_steps
    self._windows = windows_per_step
    self._bound = "< " if may_end_early else ""
    self._is_silent = is_silent
    self._seconds = 0.0
    self._running_since: float | None = None
    self._step = 0
    self._waited_s = 0.0

  def start(self, step: int, input_wait_s: float = 0.0) -> None:
    """Starts to count at `step`; the clock stands until `resume`.

    Args:
      step: where training stands.
      input_wait_s: seconds that steps have waited so far, in all.
    """
    self._seconds, self._running_since = 0.0, None
    self._step, self._waited_s = step, input_wait_s

  def resume(self) -> None:
    """Lets the clock run: steps follow."""
    self._running_since = time.monotonic()

  def pause(self) -> None:
    """Stops the clock: a validation or a checkpoint follows."""
    if self._running_since is not None:
      self._seconds += time.monotonic() - self._running_since
    self._running_since = None

  def measure(self, step: int, input_wait_s: float = 0.0) -> Speed:
    """Speed since the last call, or since `start`; arguments as there."""
    seconds = max(self._seconds, 1e-9)
    speed = Speed(
      seconds,
      (step - self._step) * self._windows / seconds,
      min(max(input_wait_s - self._waited_s, 0.0) / seconds, 1.0),
    )
    self.start(step, input_wait_s)
    return speed

  def line(self, step: int, values: Mapping[str, float], speed: Speed) -> str:
    """The line for the steps that ended at `step`.

    Args:
      step: where training stands.
      values: the row of the history.
      speed: of these steps.
    """
    tasks = {name.split("/")[0] for name in values if name.endswith("/loss")}
    short = {
      name.split("/", 1)[1] if len(tasks) == 1 else name: value
      for name, value in values.items()
      if name.split("/")[0] in tasks
    }
    windows_left = (self._total - step) * self._windows
    left_s = windows_left / max(speed.windows_per_s, 1e-9)
    start = [f"{self._name}  step {step:,}/{self._total:,}"]
    start += [f"{k} {v:.4f}" for k, v in short.items() if k.endswith("loss")]
    end = [
      f"{speed.windows_per_s:,.0f} windows/s",
      f"input wait {100 * speed.input_wait_share:.0f} %",
      f"{self._bound}{duration(left_s)} left",
    ]
    shares = [
      f"{name} {value:.2f}"
      for share in _SHARES
      for name, value in short.items()
      if name.split("/")[-1] == share
    ]
    while len("  ".join([*start, *shares, *end])) > _MAX_COLUMNS and shares:
      shares.pop()
    return "  ".join([*start, *shares, *end])

  def report(
    self, step: int, values: Mapping[str, float], speed: Speed
  ) -> None:
    """Prints `line` to standard error."""
    self.say(self.line(step, values, speed))

  def report_validation(
    self, step: int, values: Mapping[str, float], seconds: float
  ) -> None:
    """Prints what a validation gave."""
    measured = "  ".join(f"{k} {v:.4f}" for k, v in values.items())
    self.say(
      f"{self._name}  validation at step {step:,}: "
      f"{measured or 'nothing to measure'}  ({duration(seconds)})"
    )

  def warn(self, message: str) -> None:
    """Prints a warning to standard error."""
    self.say(f"{self._name}  WARNING: {message}")

  def say(self, message: str) -> None:
    """Prints a line to standard error."""
    if not self._is_silent:
      print(message, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
  """`95` -> "1 min 35 s"; `7300` -> "2 h 01 min"; `200_000` -> "2 d 08 h"."""
  whole = round(seconds)
  if whole < 60:
    return f"{whole} s"
  if whole < 3600:
    return f"{whole // 60} min {whole % 60:02d} s"
  if whole < 48 * 3600:
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
  return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
