"""Starts two worker processes of one job on this host, for tests."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Pair:
  """Two processes that run the same command, as TF_CONFIG's two workers."""

  def __init__(self, command: Sequence[str], logs: pathlib.Path) -> None:
    """Starts them.

    Args:
      command: arguments of the Python interpreter.
      logs: a directory for what they print.
    """
    hosts = [f"localhost:{port}" for port in free_ports(2)]
    self._logs = [logs / f"worker_{index}.log" for index in range(2)]
    self.processes = []
    for index, log in enumerate(self._logs):
      config = {
        "cluster": {"worker": hosts},
        "task": {"type": "worker", "index": index},
      }
      environment = os.environ | {
        "TF_CONFIG": json.dumps(config),
        "PYTHONPATH": str(_ROOT),
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": "1",
      }
      with log.open("wb") as file:
        self.processes.append(
          subprocess.Popen(
            [sys.executable, *command],
            cwd=_ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
          )
        )

  def wait_for(self, path: pathlib.Path, timeout_s: float) -> None:
    """Waits until the workers have written a file.

    Raises:
      AssertionError: they ended, or the time did; says what they printed.
    """
    deadline = time.monotonic() + timeout_s
    while not path.exists():
      running = any(process.poll() is None for process in self.processes)
      if not (running or path.exists()) or time.monotonic() > deadline:
        raise AssertionError(f"no {path.name}:\n{self.printed()}")
      time.sleep(0.1)

  def wait(self, timeout_s: float) -> None:
    """Waits until both have ended well.

    Raises:
      AssertionError: one failed, or the time was up; says what they printed.
    """
    deadline = time.monotonic() + timeout_s
    for process in self.processes:
      try:
        process.wait(max(deadline - time.monotonic(), 0.1))
      except subprocess.TimeoutExpired:
        self.kill()
        raise AssertionError(f"out of time:\n{self.printed()}") from None
    if any(process.returncode for process in self.processes):
      raise AssertionError(self.printed())

  def printed(self) -> str:
    """The end of what both have printed."""
    return "\n".join(
      f"{log.name}: {log.read_text(errors='replace')[-3000:]}"
      for log in self._logs
    )

  def kill(self) -> None:
    """Ends what still runs."""
    for process in self.processes:
      if process.poll() is None:
        process.kill()
      process.wait()


def free_ports(count: int) -> list[int]:
  """Ports of this host that nobody listened on a moment ago."""
  sockets = [socket.socket() for _ in range(count)]
  for one in sockets:
    one.bind(("localhost", 0))
  ports = [one.getsockname()[1] for one in sockets]
  for one in sockets:
    one.close()
  return ports
