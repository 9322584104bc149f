"""A pool of worker processes that stream log-mel windows of files."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from types import TracebackType
from typing import Any

import numpy as np

from music_embed.audio import streaming
from music_embed.core import types
from music_embed.data.engines import child
from music_embed.data.ingestion import (
  pool,
  window_events,
  window_worker,
  worker,
)

_ATTEMPTS = 2
_QUEUE = 2
"""Files of a worker: the next one waits there while an answer travels."""

_STARTS = 3
"""Workers that may end before they are ready, one after the other, where one
could start before: they may have been killed. A first one is not tried again.
"""

_LONGEST_POLL_S = 2.0


@dataclasses.dataclass
class _Task:
  """A file; the counts are of windows that were given, and of this attempt."""

  number: int
  path: str
  attempts: int = 0
  num_given: int = 0
  num_seen: int = 0


class _Worker(child.Child):
  """One process, and the tasks that it was sent and has not ended."""

  def __init__(self, settings: str) -> None:
    super().__init__(window_worker.__name__, [settings], pool.ALLOCATOR)
    self.tasks: collections.deque[_Task] = collections.deque()
    self.silent_s = 0.0

  def send(self, task: _Task) -> None:
    if not self.tasks:
      self.silent_s = 0.0
    task.num_seen = 0
    self.tasks.append(task)
    # If it has died, receiving will tell, and the task be sent elsewhere.
    with contextlib.suppress(OSError):
      self.connection.send_bytes(os.fsencode(task.path))

  def receive(self) -> dict[str, Any]:
    """Raises EOFError or OSError if the process died."""
    message = self.connection.recv_bytes()
    self.silent_s = 0.0
    if self.ready:
      return json.loads(message)
    if message != worker.READY:
      raise RuntimeError("a decoding worker did not say that it is ready")
    self.ready = True
    return {}

  def may_take(self, task: _Task) -> bool:
    """A worker's files must ascend, or one could wait for one behind it."""
    if not self.tasks:
      return True
    return len(self.tasks) < _QUEUE and self.tasks[-1].number < task.number


class WindowPool:
  """Streams files' windows from processes; a context manager.

  A file on which a worker dies is tried once more in a fresh one: it is given
  up only if that dies too. Processes start as there is work for them.
  """

  def __init__(
    self,
    *,
    num_workers: int,
    front_end: types.LogMelFrontEnd,
    chunk_windows: int,
    max_duration_s: float | None,
    time_limit_s: float,
  ) -> None:
    """Starts nothing yet.

    Args:
      num_workers: processes, at most.
      front_end: what a window is.
      chunk_windows: windows of every piece of a file but its last.
      max_duration_s: audio after this time is not used; None uses all.
      time_limit_s: wall-clock time that a file may take to its next windows.
    """
    self._num_workers = num_workers
    self._window_shape = front_end.window_shape
    self._time_limit_s = time_limit_s
    self._settings = json.dumps(
      {
        "front_end": front_end.to_json(),
        "chunk_windows": chunk_windows,
        "max_duration_s": max_duration_s,
      }
    )
    self._workers: list[_Worker] = []
    self._retries: list[_Task] = []
    self._has_started = False
    self._num_failed_starts = 0
    self._counted_at = time.monotonic()

  def __enter__(self) -> WindowPool:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    for process in self._workers:
      process.end(kill=True)
    self._workers.clear()

  def run(
    self, paths: Iterable[str], has_room: Callable[[int], bool]
  ) -> Iterator[window_events.Event]:
    """Decodes files.

    Args:
      paths: audio files; read ahead by two for each worker.
      has_room: whether another piece of a file, by its number, can be taken
        now; a worker whose piece cannot waits. It must be true of the first
        file that has not ended, or nothing would ever go on.

    Yields:
      What happens, in order for each file: `Opened`, `Windows`, `Ended`. Files
      are worked on side by side.

    Raises:
      RuntimeError: workers cannot even start.
    """
    tasks = (_Task(number, path) for number, path in enumerate(paths))
    waiting = next(tasks, None)
    self._counted_at = time.monotonic()
    while True:
      self._retries = [t for t in self._retries if not self._give(t)]
      while waiting is not None and not self._retries and self._give(waiting):
        waiting = next(tasks, None)
      if waiting is None and not self._retries and not self._num_tasks():
        return
      yield from self._collect(has_room)

  def _num_tasks(self) -> int:
    return sum(len(process.tasks) for process in self._workers)

  def _give(self, task: _Task) -> bool:
    """Sends a task to the worker with least to do, unless all are busy."""
    takers = [process for process in self._workers if process.may_take(task)]
    idle = [process for process in takers if not process.tasks]
    if not idle and len(self._workers) < self._num_workers:
      idle = [_Worker(self._settings)]
      self._workers += idle
    if not (idle or takers):
      return False
    min(idle or takers, key=lambda process: len(process.tasks)).send(task)
    return True

  def _collect(
    self, has_room: Callable[[int], bool]
  ) -> Iterator[window_events.Event]:
    listened = {
      process.connection: process
      for process in self._workers
      if not process.tasks or has_room(process.tasks[0].number)
    }
    for ready in connection.wait(list(listened), timeout=1.0):
      process = listened[ready]  # type: ignore[index]
      try:
        event = self._receive(process)
      except (EOFError, OSError):
        event = self._bury(process, kill=False)
      if event is not None:
        yield event
    yield from self._count_time(list(listened.values()))

  def _receive(self, process: _Worker) -> window_events.Event | None:
    message = process.receive()
    if not message:
      self._has_started, self._num_failed_starts = True, 0
      return None
    task = process.tasks[0]
    if "opened" in message:
      header = window_events.Header(**message["opened"])
      return (
        None if task.attempts else window_events.Opened(task.number, header)
      )
    if "windows" in message:
      return self._windows(process, task, message["windows"])
    process.tasks.popleft()
    if "reason" in message:
      return window_events.Ended(task.number, None, message["reason"])
    return window_events.Ended(
      task.number, streaming.WindowFacts(**message["facts"])
    )

  def _windows(
    self, process: _Worker, task: _Task, count: int
  ) -> window_events.Windows | None:
    start_s = np.frombuffer(process.connection.recv_bytes(), np.float64)
    values = np.frombuffer(process.connection.recv_bytes(), np.float32)
    task.num_seen += count
    if task.num_seen <= task.num_given:
      return None  # A worker that died has sent them before.
    task.num_given = task.num_seen
    log_mel = values.reshape(count, *self._window_shape)
    return window_events.Windows(task.number, log_mel, start_s)

  def _count_time(
    self, listened: list[_Worker]
  ) -> Iterator[window_events.Event]:
    """Ends silent workers; time for which this job was stopped counts not."""
    now = time.monotonic()
    polled_s = min(now - self._counted_at, _LONGEST_POLL_S)
    self._counted_at = now
    for process in listened:
      if process not in self._workers or not process.tasks:
        continue
      process.silent_s += polled_s
      if process.ready and process.silent_s > self._time_limit_s:
        event = self._bury(process, kill=True)
        if event is not None:
          yield event

  def _bury(
    self, process: _Worker, *, kill: bool
  ) -> window_events.Event | None:
    """Removes a worker; the file that it was at is its fault."""
    self._workers.remove(process)
    end = process.end(kill=kill)
    if not process.ready:
      self._num_failed_starts += 1
    if self._num_failed_starts == (_STARTS if self._has_started else 1):
      raise RuntimeError(
        f"a decoding worker could not start ({end}); its own message is above"
      )
    event = None
    if process.tasks and process.ready:
      task = process.tasks[0]
      task.attempts += 1
      if kill or task.attempts == _ATTEMPTS:
        process.tasks.popleft()
        limit = f"decoding it did not go on for {self._time_limit_s:g} s"
        reason = limit if kill else f"the decoder crashed on it ({end})"
        event = window_events.Ended(task.number, None, reason)
    self._retries = sorted(
      [*self._retries, *process.tasks], key=lambda task: task.number
    )
    return event
