"""Several processes that train one run: agreeing, and noticing each other."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
from collections.abc import Iterator

import tensorflow as tf

from music_embed.core import errors
from music_embed.training import watchdog
from music_embed.training import workers as workers_lib

_LOST = (
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
  tf.errors.FailedPreconditionError,
  tf.errors.InternalError,
  tf.errors.UnavailableError,
  tf.errors.UnknownError,
)
"""What TensorFlow raises in a worker whose peers are gone."""
_LAST_WORDS_S = 20.0


@contextlib.contextmanager
def together(
  workers: workers_lib.Workers, *, workdir: str, same: str, patience_s: float
) -> Iterator[None]:
  """Keeps the workers of a run together; nothing to do for a single one.

  Args:
    workers: of the run's strategy.
    workdir: the run's directory, which all workers share.
    same: text that must be alike on all workers: what they train.
    patience_s: how long a worker may give no sign of life.

  Raises:
    ConfigError: the workers were started differently, or don't share the
      directory; raised on all of them.
    PeerError: a worker has gone. Where one hangs, the process is ended.
  """
  if workers.count == 1:
    yield
    return
  try:
    with _joined(workers, workdir, same, patience_s) as watch:
      try:
        yield
      except _LOST as error:
        raise watch.lost(error) from error
  except BaseException:
    # Python's end would wait for TensorFlow, which waits for the others.
    threading.Timer(_LAST_WORDS_S, os._exit, [1]).start()
    raise


def _joined(
  workers: workers_lib.Workers, workdir: str, same: str, patience_s: float
) -> watchdog.Watch:
  try:
    digest = hashlib.sha256(same.encode()).digest()
    least, greatest = workers.extremes(int.from_bytes(digest[:7], "big"))
    if least != greatest:
      raise errors.ConfigError(
        "the workers were started with different gin files, bindings or "
        "datasets: give all of them the same command"
      )
    # Of the operating system's randomness: seeds must not make jobs alike.
    drawn = random.SystemRandom().getrandbits(60) if workers.is_chief else 0
    watch = watchdog.Watch(
      names=workers.names,
      index=workers.index,
      workdir=workdir,
      job=workers.extremes(drawn)[1],
      patience_s=patience_s,
    )
    workers.any(False)  # The chief's file is there from here on.
    if workers.any(not watch.sees_chief()):
      raise errors.ConfigError(
        f"--workdir={workdir} is not one folder that all workers share: they "
        f"restore the chief's checkpoints from there; put it on a file system "
        f"that every host mounts under the same path"
      )
  except _LOST as error:
    raise errors.PeerError(
      f"a worker has gone while the job began "
      f"({watchdog.one_line(error)}): {watchdog.ADVICE}"
    ) from error
  return watch
