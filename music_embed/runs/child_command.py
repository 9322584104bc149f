"""A launcher as a child process: its lines pass through, signals reach it."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Ended:
  """How a command has ended.

  Attributes:
    code: its exit status; negative: the signal that killed it.
    reason: in one line, why it failed; empty where it did not.
  """

  code: int
  reason: str = ""


def run(command: Sequence[str]) -> Ended:
  """Runs a command to its end; what it prints goes to standard error.

  SIGTERM and Ctrl-C are passed on, as SIGTERM, and its end is waited for: a
  run then writes its checkpoint. A second one ends it at once. Should this
  process be killed, the child ends with the first line that it can't print.

  Args:
    command: program and arguments.

  Raises:
    KeyboardInterrupt: this process was told to stop, or the command was.
  """
  process = subprocess.Popen(
    command,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    errors="replace",
    process_group=0,  # Ctrl-C is this process's, which passes it on.
  )
  relay = _Relay()
  try:
    code = relay.until_end(process)
  except KeyboardInterrupt:
    _stop(process, relay)
    raise
  if code == 130:  # Someone else has told it to stop.
    raise KeyboardInterrupt(relay.last)
  return Ended(code, relay.reason(code) if code else "")


class _Relay:
  """Passes a process's lines on and remembers what they say of an error."""

  def __init__(self) -> None:
    self.last = ""
    self._error = ""

  def until_end(self, process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
      sys.stderr.write(line)
      sys.stderr.flush()
      self.last = line.strip() or self.last
      if ": error: " in line:
        self._error = line.partition(": error: ")[2].strip()
    return process.wait()

  def reason(self, code: int) -> str:
    told = self._error or self.last
    if code < 0:
      return f"{signal.Signals(-code).name} after: {told}"
    return told or f"exit status {code}"


def _stop(process: subprocess.Popen[str], relay: _Relay) -> None:
  process.terminate()
  try:
    relay.until_end(process)
  except KeyboardInterrupt:
    process.terminate()
    process.wait()
