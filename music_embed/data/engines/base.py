"""What a job asks of an engine: a map of pure functions over tasks."""

from __future__ import annotations

import abc
import dataclasses
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from music_embed.core import errors

T = TypeVar("T")
R = TypeVar("R")

READY = b"ready"
"""First message of a process of the local engine."""


class Engine(abc.ABC):
  """Runs tasks; a context manager.

  The only operation is `map`. What looks like a shuffle goes through files
  (`data.engines.segments`): each task writes one file, grouped by partition
  and with an index of the groups, and the tasks of the next phase read their
  group from all of them. So the kernels are the same functions on every
  engine and the bytes cannot depend on it; a task that is retried, or runs
  twice, writes the same file again; an interrupted job goes on where it
  stopped, task by task; and memory is bounded by the size of a partition,
  which the job chooses, and not by an engine's settings. What it asks for is
  a folder that all workers share, which a dataset's directory has to be
  anyway.
  """

  name: str
  """As `--engine` names it."""

  @abc.abstractmethod
  def map(
    self,
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    description: str,
    unit: str = "task",
  ) -> list[R]:
    """Applies a function to every task.

    Args:
      function: picklable (of a module that workers can import, or a
        `functools.partial` of such), a pure function of its task that reads
        and writes files; it may run more than once for a task, so it writes
        each file atomically and always with the same bytes.
      tasks: picklable, small: they name files, not hold data.
      description: of the progress bar on standard error.
      unit: what the bar counts.

    Returns:
      The results in the order of the tasks.

    Raises:
      MusicEmbedError: a task raised it; the others may not have run.
      RuntimeError: a task failed in another way; says how.
    """

  @abc.abstractmethod
  def close(self) -> None:
    """Ends whatever was started."""

  def __enter__(self) -> Self:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    self.close()


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a task came to, in a form that travels between processes.

  Attributes:
    value: the function's result.
    refusal: the error that it raised for the user to act on.
    crash: traceback of any other exception, or empty.
  """

  value: Any = None
  refusal: errors.MusicEmbedError | None = None
  crash: str = ""

  def result(self) -> Any:
    """The value.

    Raises:
      MusicEmbedError: the task refused its input.
      RuntimeError: it failed otherwise.
    """
    if self.refusal is not None:
      raise self.refusal
    if self.crash:
      raise RuntimeError(f"a task failed:\n{self.crash}")
    return self.value


def attempt(function: Callable[[T], Any], task: T) -> Outcome:
  """Runs a task; an exception is part of the outcome."""
  try:
    return Outcome(function(task))
  except errors.MusicEmbedError as error:
    return Outcome(refusal=error)
  except Exception:
    return Outcome(crash=traceback.format_exc())
