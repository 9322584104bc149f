"""SIGTERM and Ctrl-C while training: end after the step that runs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

import tensorflow as tf

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_EXIT_CODE = 130
_END = b"\0"  # No signal has this number.


class Interrupted(KeyboardInterrupt):
  """Training ended early, its checkpoint written; says how to go on."""


class Stopped(Exception):  # noqa: N818
  """What was under way has ended early, since a stop was requested."""


class StopRequest:
  """Whether training is to end before its time.

  Attributes:
    requested: set once, never unset.
  """

  def __init__(self, variable: tf.Variable | None = None):
    """Nothing is asked yet.

    Args:
      variable: bool, on the host; set too, so that a loop inside TensorFlow
        learns of it.
    """
    self.requested = False
    self._variable = variable

  def ask(self) -> None:
    """Asks training to end; any thread may call it."""
    self.requested = True
    if self._variable is not None:
      self._variable.assign(True)


@contextlib.contextmanager
def watching(stop: StopRequest) -> Iterator[None]:
  """Turns the first SIGTERM or Ctrl-C into a request; the second ends at once.

  Python runs signal handlers between two instructions of the main thread,
  which waits inside TensorFlow for as long as a loop there lasts. So the
  signal's number goes through a pipe to a thread of ours.

  Args:
    stop: told of the first signal. In another thread than the main one
      signals cannot be watched, and nothing is done.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  thread = threading.Thread(target=_watch, args=(reader, stop), daemon=True)
  thread.start()
  wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  handlers = {s: signal.signal(s, lambda *_: None) for s in _SIGNALS}
  try:
    yield
  finally:
    for number, handler in handlers.items():
      signal.signal(number, handler)
    signal.set_wakeup_fd(wakeup_before)
    os.write(writer, _END)
    thread.join()
    os.close(reader)
    os.close(writer)


def _watch(reader: int, stop: StopRequest) -> None:
  while True:
    for number in os.read(reader, 64):
      if number == _END[0]:
        return
      if number not in _SIGNALS:
        continue
      if stop.requested:
        _say(
          "stopped at once; the same command goes on from the last checkpoint"
        )
        os._exit(_EXIT_CODE)
      _say("stopping after this step (a second signal: at once)")
      stop.ask()


def _say(message: str) -> None:
  print(message, file=sys.stderr, flush=True)
