"""A pool of worker processes that outlives the death of any of them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from types import TracebackType
from typing import Any

import numpy as np

from music_embed.core import types
from music_embed.data.engines import child
from music_embed.data.ingestion import featurize
from music_embed.data.ingestion import worker as worker_lib

_ATTEMPTS = 2
_LONGEST_POLL_S = 2.0
ALLOCATOR = {
  "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
  "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}
"""Has glibc keep the arrays of one file for those of the next.

Else each is given back to the kernel and its pages are asked for again: 4 %
of a worker's time.
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of one file: its features, or the reason it has none."""

  features: featurize.Features | None
  reason: str = ""


@dataclasses.dataclass
class _Task:
  number: int
  path: str
  attempts: int = 0


class _Worker(child.Child):
  """One process, and the tasks that it was sent and has not answered."""

  def __init__(self, settings: str) -> None:
    super().__init__(worker_lib.__name__, [settings], ALLOCATOR)
    self.tasks: collections.deque[_Task] = collections.deque()
    self.busy_s = 0.0

  def send(self, task: _Task) -> None:
    if not self.tasks:
      self.busy_s = 0.0
    self.tasks.append(task)
    # If it has died, receiving will tell, and the task be sent elsewhere.
    with contextlib.suppress(OSError):
      self.connection.send_bytes(os.fsencode(task.path))

  def receive(self) -> tuple[dict[str, Any], bytes]:
    """Raises EOFError or OSError if the process died."""
    message = self.connection.recv_bytes()
    if not self.ready:
      if message != worker_lib.READY:
        raise RuntimeError("an ingestion worker did not say that it is ready")
      self.ready = True
      self.busy_s = 0.0
      return {}, b""
    return json.loads(message), self.connection.recv_bytes()


class WorkerPool:
  """Featurizes files in processes; a context manager.

  A file on which a worker dies is tried once more in a fresh one: it is
  rejected only if that dies too.
  """

  def __init__(
    self,
    *,
    num_workers: int,
    front_end: types.FrontEnd,
    quantization: types.Quantization,
    max_duration_s: float,
    time_limit_s: float,
  ) -> None:
    """Starts nothing yet.

    Args:
      num_workers: processes.
      front_end: what a row is.
      quantization: how rows are stored.
      max_duration_s: audio after this time is not used.
      time_limit_s: wall-clock time that a file may take.
    """
    self._counted_at = time.monotonic()
    self._num_workers = num_workers
    self._row_shape = front_end.row_shape
    self._dtype = quantization.storage
    self._time_limit_s = time_limit_s
    self._settings = json.dumps(
      {
        "front_end": front_end.to_json(),
        "quantization": quantization.to_json(),
        "max_duration_s": max_duration_s,
      }
    )
    self._workers: list[_Worker] = []
    self._outcomes: dict[int, Outcome] = {}
    self._retries: collections.deque[_Task] = collections.deque()

  def __enter__(self) -> WorkerPool:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    for worker in self._workers:
      worker.end(kill=True)
    self._workers.clear()

  def map(self, paths: Iterable[str]) -> Iterator[Outcome]:
    """Featurizes files.

    Args:
      paths: audio files; read ahead by a few for each worker.

    Yields:
      Their outcomes in the order of the paths, whichever worker was faster.

    Raises:
      RuntimeError: workers cannot even start.
    """
    tasks = (_Task(number, path) for number, path in enumerate(paths))
    issued = delivered = 0
    exhausted = False
    while True:
      while self._retries and (idle := self._idle_worker()) is not None:
        idle.send(self._retries.popleft())
      # A window bounds what waits in memory behind one slow file.
      while issued - delivered < 8 * self._num_workers and not exhausted:
        idle = self._idle_worker()
        if idle is None:
          break
        task = next(tasks, None)
        if task is None:
          exhausted = True
          break
        idle.send(task)
        issued += 1
      while delivered in self._outcomes:
        yield self._outcomes.pop(delivered)
        delivered += 1
      if exhausted and delivered == issued:
        return
      self._collect()

  def _idle_worker(self) -> _Worker | None:
    """The worker with least to do, if it should be given more."""
    if len(self._workers) < self._num_workers:
      self._workers.append(_Worker(self._settings))
    worker = min(self._workers, key=lambda worker: len(worker.tasks))
    # Two at a time: the next one waits there while an answer travels.
    return worker if len(worker.tasks) < 2 else None

  def _collect(self) -> None:
    by_connection = {worker.connection: worker for worker in self._workers}
    for ready in connection.wait(list(by_connection), timeout=1.0):
      worker = by_connection[ready]  # type: ignore[index]
      try:
        header, payload = worker.receive()
      except (EOFError, OSError):
        self._bury(worker, kill=False)
        continue
      if header:
        task = worker.tasks.popleft()
        worker.busy_s = 0.0
        self._outcomes[task.number] = self._outcome(header, payload)
    self._count_time()

  def _count_time(self) -> None:
    """Ends workers over their limit; a stopped job's time does not count."""
    now = time.monotonic()
    polled_s = min(now - self._counted_at, _LONGEST_POLL_S)
    self._counted_at = now
    for worker in list(self._workers):
      worker.busy_s += polled_s
      over = worker.busy_s > self._time_limit_s
      if worker.ready and worker.tasks and over:
        self._bury(worker, kill=True)

  def _outcome(self, header: dict[str, Any], payload: bytes) -> Outcome:
    if "reason" in header:
      return Outcome(None, header["reason"])
    stored = np.frombuffer(payload, self._dtype)
    rows = stored.reshape(-1, *self._row_shape)
    flags = tuple(header["flags"])
    return Outcome(featurize.Features(rows, flags, header["audio_s"]))

  def _bury(self, worker: _Worker, *, kill: bool) -> None:
    """Removes a worker; the file that it was at is its fault."""
    self._workers.remove(worker)
    end = worker.end(kill=kill)
    if not worker.ready:
      raise RuntimeError(
        f"an ingestion worker could not start ({end}); its own message is above"
      )
    if worker.tasks:
      worker.tasks[0].attempts += 1
      if kill or worker.tasks[0].attempts == _ATTEMPTS:
        limit = f"decoding it took longer than {self._time_limit_s:g} s"
        reason = limit if kill else f"the decoder crashed on it ({end})"
        task = worker.tasks.popleft()
        self._outcomes[task.number] = Outcome(None, reason)
    self._retries.extend(worker.tasks)
