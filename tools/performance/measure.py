"""What every benchmark shares: figures, CPU clocks, side-by-side rounds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_POLL_S = 0.1


@dataclasses.dataclass(frozen=True)
class Figure:
  """One line of a performance table.

  Attributes:
    name: stable name of what was measured.
    value: measured value.
    unit: its unit.
    reference: what it was measured beside, in words; empty where nothing.
    reference_value: the reference's value in the same unit, or None.
    ratio: value / reference_value, or None.
  """

  name: str
  value: float
  unit: str
  reference: str = ""
  reference_value: float | None = None
  ratio: float | None = None

  @classmethod
  def beside(
    cls,
    name: str,
    value: float,
    unit: str,
    reference: str,
    reference_value: float,
  ) -> Figure:
    """A figure whose ratio is that of the two values."""
    ratio = value / reference_value if reference_value else None
    return cls(name, value, unit, reference, reference_value, ratio)

  def to_json(self) -> dict[str, Any]:
    """The figure as a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Usage:
  """What a process and its children used.

  Attributes:
    cpu_s: user and system time of all of them.
    wall_s: from start to end.
    peak_bytes: largest sum of their proportional set sizes, as polled.
    result: what the process printed last, as JSON.
  """

  cpu_s: float
  wall_s: float
  peak_bytes: int
  result: Any


def side_by_side(
  candidates: Mapping[str, Callable[[], int]],
  *,
  rounds: int = 5,
  min_cpu_s: float = 0.5,
) -> dict[str, float]:
  """Median rate of each candidate, measured in alternating rounds.

  Args:
    candidates: by name; each call does some work and returns how many items
      that was.
    rounds: how often each candidate has its turn, after one to warm up.
    min_cpu_s: CPU time of a turn; calls are repeated until it is used.

  Returns:
    Items per CPU-second (all threads of this process), by name.
  """
  rates: dict[str, list[float]] = {name: [] for name in candidates}
  for turn in range(rounds + 1):
    for name, candidate in candidates.items():
      items, began = 0, time.process_time()
      while time.process_time() - began < min_cpu_s:
        items += candidate()
        if not turn:
          break
      _settle()
      if turn:
        rates[name].append(items / (time.process_time() - began))
  return {name: statistics.median(values) for name, values in rates.items()}


def _settle() -> None:
  """Waits until background threads have filled their buffers.

  A pipeline works on after its turn: that is its own CPU time, not that of
  whatever comes next.
  """
  while True:
    began = time.process_time()
    time.sleep(_POLL_S)
    if time.process_time() - began < _POLL_S / 50:
      return


def environment() -> dict[str, str]:
  """The environment of a process that imports the checkout's modules."""
  root = str(pathlib.Path(__file__).resolve().parents[2])
  search = [root, os.environ.get("PYTHONPATH", "")]
  return os.environ | {
    "PYTHONPATH": os.pathsep.join(filter(None, search)),
    "TQDM_DISABLE": "1",
  }


def run_apart(module: str, arguments: Sequence[str]) -> Usage:
  """Runs a module as a process of its own and watches what it uses.

  Args:
    module: dotted name, importable from the checkout's root.
    arguments: of its command line; its last line of output is JSON.

  Returns:
    What it and its children used.

  Raises:
    RuntimeError: it failed; its own message is on stderr.
  """
  began = time.monotonic()
  before = os.times()
  process = subprocess.Popen(
    [sys.executable, "-m", module, *arguments],
    stdout=subprocess.PIPE,
    text=True,
    env=environment(),
  )
  peak = [0]
  watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
  watcher.start()
  output, _ = process.communicate()
  watcher.join()
  after = os.times()
  if process.returncode:
    raise RuntimeError(f"{module} {' '.join(arguments)} failed")
  used = (
    after.children_user
    + after.children_system
    - before.children_user
    - before.children_system
  )
  return Usage(
    cpu_s=used,
    wall_s=time.monotonic() - began,
    peak_bytes=peak[0],
    result=json.loads(output.strip().splitlines()[-1]),
  )


def table(figures: Sequence[Figure]) -> str:
  """The figures as an aligned table."""
  rows = [("figure", "value", "unit", "reference", "its value", "ratio")]
  rows += [
    (
      figure.name,
      _number(figure.value),
      figure.unit,
      figure.reference,
      "" if figure.reference_value is None else _number(figure.reference_value),
      "" if figure.ratio is None else f"{figure.ratio:.2f}",
    )
    for figure in figures
  ]
  widths = [max(len(row[column]) for row in rows) for column in range(6)]
  right = (1, 4, 5)
  lines = []
  for number, row in enumerate(rows):
    cells = (
      cell.rjust(width) if column in right else cell.ljust(width)
      for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    lines.append("  ".join(cells).rstrip())
    if not number:
      lines.append("  ".join("-" * width for width in widths))
  return "\n".join(lines)


def say(text: str) -> None:
  """A line of progress, on stderr."""
  print(text, file=sys.stderr, flush=True)


def _number(value: float) -> str:
  if value and abs(value) < 10:
    return f"{value:.3g}"
  return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
  while process.poll() is None:
    peak[0] = max(peak[0], sum(map(_proportional, _tree(process.pid))))
    time.sleep(_POLL_S)


def _tree(pid: int) -> list[int]:
  """A process and all its descendants."""
  found = [pid]
  for parent in found:
    try:
      for task in os.listdir(f"/proc/{parent}/task"):
        with open(f"/proc/{parent}/task/{task}/children") as file:
          found.extend(map(int, file.read().split()))
    except OSError:
      continue  # It has ended meanwhile.
  return found


def resident_bytes(pid: int) -> int:
  """Sum of the resident set sizes of a process and all its descendants."""
  total = 0
  for one in _tree(pid):
    with contextlib.suppress(OSError, IndexError):
      status = pathlib.Path(f"/proc/{one}/status").read_text()
      total += 1024 * int(status.partition("VmRSS:")[2].split()[0])
  return total


def _proportional(pid: int) -> int:
  """Proportional set size in bytes: pages shared by n count 1/n each."""
  try:
    with open(f"/proc/{pid}/smaps_rollup") as file:
      for line in file:
        if line.startswith("Pss:"):
          return int(line.split()[1]) * 1024
  except OSError:
    pass
  return 0


def peak_memory() -> int:
  """Bytes; not getrusage's, which a process inherits from who started it."""
  status = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(status.partition("VmHWM:")[2].split()[0])
