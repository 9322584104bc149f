"""The engine of one machine: a pool of processes."""

from __future__ import annotations

import collections
import contextlib
import pickle
from collections.abc import Callable, Iterable
from multiprocessing import connection
from typing import Any

import tqdm

from music_embed.core import errors
from music_embed.data.engines import base, child

_ATTEMPTS = 2
_WORKER = "music_embed.data.engines.worker"


class LocalEngine(base.Engine):
  """Runs tasks in processes of this machine; one worker is this process.

  Processes start with the first job that has several tasks, and serve all
  later ones. A task whose process dies is tried once more.
  """

  name = "local"

  def __init__(self, num_workers: int) -> None:
    """Starts nothing yet.

    Args:
      num_workers: tasks that run at once.
    """
    self.num_workers = num_workers
    self._workers: list[_Worker] = []

  def map(
    self,
    function: Callable[[base.T], base.R],
    tasks: Iterable[base.T],
    *,
    description: str,
    unit: str = "task",
  ) -> list[base.R]:
    """See `base.Engine.map`."""
    todo = list(tasks)
    with tqdm.tqdm(desc=description, unit=unit, total=len(todo)) as bar:
      if self.num_workers == 1 or len(todo) < 2:
        results = []
        for task in todo:
          results.append(function(task))
          bar.update()
        return results
      return self._spread(function, todo, bar)

  def close(self) -> None:
    """Ends the processes."""
    while self._workers:
      self._workers.pop().end(kill=True)

  def _spread(
    self, function: Callable[[Any], Any], tasks: list[Any], bar: Any
  ) -> list[Any]:
    waiting = collections.deque(range(len(tasks)))
    attempts = [0] * len(tasks)
    results: list[Any] = [None] * len(tasks)
    running: dict[_Worker, int] = {}
    try:
      while waiting or running:
        while waiting and (idle := self._idle(running)) is not None:
          running[idle] = waiting.popleft()
          attempts[running[idle]] += 1
          idle.send(function, tasks[running[idle]])
        for busy in _readable(running):
          try:
            outcome = busy.receive()
          except (EOFError, OSError):
            number = running.pop(busy)
            self._bury(busy, attempts[number], bar.desc)
            waiting.appendleft(number)
            continue
          if outcome is not None:
            results[running.pop(busy)] = outcome.result()
            bar.update()
    except BaseException:
      self.close()  # Their tasks' answers must not reach the next job.
      raise
    return results

  def _idle(self, running: dict[_Worker, int]) -> _Worker | None:
    for candidate in self._workers:
      if candidate not in running:
        return candidate
    if len(self._workers) == self.num_workers:
      return None
    self._workers.append(_Worker())
    return self._workers[-1]

  def _bury(self, dead: _Worker, attempts: int, description: str) -> None:
    self._workers.remove(dead)
    end = dead.end(kill=False)
    if not dead.ready:
      raise RuntimeError(
        f"a worker could not start ({end}); its own message is above"
      )
    if attempts >= _ATTEMPTS:
      raise errors.MusicEmbedError(
        f"{description}: a task ended its process twice ({end}); if memory is"
        " short, run with a smaller --num_workers"
      )


class _Worker(child.Child):
  """A process that runs tasks as they are sent."""

  def __init__(self) -> None:
    super().__init__(_WORKER)

  def send(self, function: Callable[[Any], Any], task: Any) -> None:
    message = pickle.dumps((function, task))
    # If it has died, receiving will tell, and the task be sent elsewhere.
    with contextlib.suppress(OSError):
      self.connection.send_bytes(message)

  def receive(self) -> base.Outcome | None:
    """None for the greeting; raises EOFError or OSError if it died."""
    message = self.connection.recv_bytes()
    if not self.ready:
      self.ready = message == base.READY
      return None
    return pickle.loads(message)


def _readable(running: dict[_Worker, int]) -> list[_Worker]:
  by_connection = {busy.connection: busy for busy in running}
  ready = connection.wait(list(by_connection))
  return [by_connection[found] for found in ready]  # type: ignore[index]
