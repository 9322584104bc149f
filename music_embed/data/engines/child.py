"""A Python process of this package that exchanges bytes with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_THREAD_VARIABLES = (
  "OMP_NUM_THREADS",
  "OPENBLAS_NUM_THREADS",
  "MKL_NUM_THREADS",
)
_GRACE_S = 10


class Child:
  """One process and the connection to it; it computes in one thread.

  Attributes:
    connection: to the process; it raises EOFError or OSError once that died.
    ready: whether it has greeted.
  """

  def __init__(
    self,
    module: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
  ) -> None:
    """Starts `python -m module <file descriptor> <arguments>`.

    Args:
      module: dotted name; what can be imported here can be imported there.
      arguments: after the descriptor of its end of the connection.
      environment: variables on top of this process's own.
    """
    self.connection, theirs = multiprocessing.Pipe()
    variables = os.environ | dict.fromkeys(_THREAD_VARIABLES, "1")
    variables |= environment or {}
    search = [os.environ.get("PYTHONPATH", ""), *map(os.path.abspath, sys.path)]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, search))
    self._process = subprocess.Popen(
      [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
      env=variables,
      pass_fds=[theirs.fileno()],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.DEVNULL,
      process_group=0,  # Ctrl-C is the parent's, from the first moment.
    )
    theirs.close()
    self.ready = False

  def end(self, *, kill: bool) -> str:
    """Stops the process; says how it ended."""
    self.connection.close()
    if kill:
      self._process.kill()
    try:
      code = self._process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
      self._process.kill()
      code = self._process.wait()
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
