"""Notices workers that have died or hang, and ends this one with a line.

A worker that is killed breaks its connections, and TensorFlow raises an error
in the others. One that hangs, or whose host is gone, may leave them waiting
inside TensorFlow, where no Python code of the main thread runs. So a thread
of each worker counts in a file of the run's directory, and watches the count
of the others: the chief that of all, the others that of the chief.

Files, since all workers share the run's directory anyway, while another
connection would need another open port. Only this process's clock is used,
and only the time in which it ran itself counts as waiting, so neither clocks
that differ nor a pause of this process accuse another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from music_embed.core import errors, files

FOLDER = "workers"
_RUNNING, _DONE, _FAILED = "running", "done", "failed"
_GRACE_S = 15.0
ADVICE = (
  "restart all workers with the same command: they go on from the last "
  "checkpoint"
)


class Watch:
  """Shows that this worker lives, and sees whether the others do."""

  def __init__(
    self,
    *,
    names: Sequence[str],
    index: int,
    workdir: str,
    job: int,
    patience_s: float,
  ):
    """Prepares; `with` starts and ends it.

    Args:
      names: of all workers, for messages.
      index: this one's.
      workdir: the run's directory, shared by all workers.
      job: a number that this job's workers have agreed on; files of earlier
        jobs have others.
      patience_s: how long a worker's count may stand still.
    """
    self._names = names
    self._index = index
    self._folder = files.join(workdir, FOLDER)
    self._job = job
    self._patience_s = patience_s
    self._interval_s = min(5.0, patience_s / 8)
    self._state, self._message = _RUNNING, ""
    self._count = 0
    self._stop = threading.Event()
    self._ending = threading.Lock()
    self._write_lock = threading.Lock()
    self._thread = threading.Thread(target=self._run, daemon=True)
    files.make_dirs(self._folder)
    self._beat()

  def __enter__(self) -> Watch:
    self._thread.start()
    return self

  def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
    del kind, trace
    self._state, self._message = _DONE, ""
    if error is not None:
      self._state, self._message = _FAILED, one_line(error)
    self._stop.set()
    with contextlib.suppress(OSError):
      self._beat()

  def sees_chief(self) -> bool:
    """Whether the chief's file of this job is in this worker's directory."""
    return self._read(0) is not None

  def lost(self, error: Exception) -> errors.PeerError:
    """Finds out who is gone, once TensorFlow has lost somebody.

    Takes a few counts' time.

    Args:
      error: TensorFlow's.
    """
    # For ever: the watching thread leaves the last word to this one.
    if not self._ending.acquire(blocking=False):
      time.sleep(60.0)  # The thread is ending the process.
    others = [i for i in range(len(self._names)) if i != self._index]
    before = {index: self._read(index) for index in others}
    reason = one_line(error)
    deadline = time.monotonic() + 3 * self._interval_s
    silent = set(others)
    while time.monotonic() < deadline:
      time.sleep(min(0.2, self._interval_s))
      now = {index: self._read(index) for index in others}
      for index, beat in now.items():
        if beat is not None and beat["state"] == _FAILED:
          return errors.PeerError(self._stopped(index, beat))
      silent = {i for i in silent if now[i] == before[i]}
      if not silent:
        break
    if silent:
      who = self._listed(silent)
      return errors.PeerError(f"lost {who} ({reason}): {ADVICE}")
    return errors.PeerError(
      f"lost the connection to the other workers, though they live "
      f"({reason}): {ADVICE}"
    )

  def _run(self) -> None:
    others = range(1, len(self._names)) if self._index == 0 else (0,)
    seen: dict[int, Any] = dict.fromkeys(others)
    waited = dict.fromkeys(others, 0.0)
    failed = dict.fromkeys(others, 0.0)
    before = time.monotonic()
    while not self._stop.wait(self._interval_s):
      now = time.monotonic()
      elapsed = min(now - before, 2 * self._interval_s)
      before = now
      with contextlib.suppress(OSError):  # A disk that is full for a moment.
        self._beat()
      for index in others:
        beat = self._read(index)
        moved = beat is not None and beat != seen[index]
        seen[index] = beat or seen[index]
        state = seen[index]["state"] if seen[index] is not None else _RUNNING
        waited[index] = 0.0 if moved else waited[index] + elapsed
        if state == _DONE:
          waited[index] = 0.0
        if state == _FAILED:
          failed[index] += elapsed
          if failed[index] > min(_GRACE_S, self._patience_s):
            self._end(self._stopped(index, seen[index]))
      silent = [i for i in others if waited[i] > self._patience_s]
      if silent:
        self._end(
          f"{self._listed(silent)} gave no sign of life for "
          f"{self._patience_s:.0f} s: end it if it hangs, and {ADVICE}"
        )

  def _end(self, line: str) -> None:
    """Ends the process: its main thread may be stuck inside TensorFlow."""
    if self._stop.is_set() or not self._ending.acquire(blocking=False):
      return  # The main thread has noticed, too.
    self._state, self._message = _FAILED, line
    with contextlib.suppress(OSError):
      self._beat()
    name = os.path.basename(sys.argv[0])
    print(f"{name}: error: {line}", file=sys.stderr, flush=True)
    os._exit(1)

  def _listed(self, indices: Iterable[int]) -> str:
    return ", ".join(self._names[index] for index in sorted(indices))

  def _stopped(self, index: int, beat: dict[str, Any]) -> str:
    message = beat["message"]
    for own in (f": {ADVICE}", f", and {ADVICE}"):
      message = message.removesuffix(own)
    return f"{self._names[index]} stopped: {message}; {ADVICE}"

  def _path(self, index: int) -> str:
    return files.join(self._folder, f"{index}.json")

  def _beat(self) -> None:
    with self._write_lock:
      self._count += 1
      beat = {
        "job": self._job,
        "count": self._count,
        "state": self._state,
        "message": self._message,
      }
      temporary = f"{self._path(self._index)}.tmp{os.getpid()}"
      with open(temporary, "w", encoding="utf-8") as file:
        json.dump(beat, file)
      os.replace(temporary, self._path(self._index))

  def _read(self, index: int) -> dict[str, Any] | None:
    """A worker's last count; None where this job's cannot be read."""
    try:
      with open(self._path(index), encoding="utf-8") as file:
        beat: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
      return None
    return beat if beat.get("job") == self._job else None


def one_line(error: BaseException) -> str:
  """The error's kind and its first line that says something."""
  message = getattr(error, "message", None) or str(error)
  lines = [" ".join(line.split()) for line in str(message).splitlines()]
  lines = [re.sub(r"\{\{.*?\}\} ?", "", line) for line in lines]
  noise = ("Graph execution error", "Detected at", "File ", "<")
  told = [line for line in lines if line and not line.startswith(noise)]
  if isinstance(error, errors.MusicEmbedError):
    return " ".join(told)
  text = (told or [""])[0].split(" [type.googleapis")[0][:200]
  return f"{type(error).__name__}: {text}".rstrip(": ")
