"""All of a stage that decides what follows, and where it is saved."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from music_embed.core import errors, files
from music_embed.training import checkpoints as checkpoints_lib
from music_embed.training import plateau as plateau_lib
from music_embed.training import trainer as trainer_lib
from music_embed.training import warm_start
from music_embed.training import workers as workers_lib


class State:
  """Weights, optimisers, step, running sums, plateau, and what was done.

  Attributes:
    summarized: int64, step of the last row of training.
    validated: int64, step of the last whole validation.
  """

  def __init__(
    self,
    *,
    trainer: trainer_lib.Trainer,
    plateau: plateau_lib.Plateau | None,
    workdir: str,
    keep_checkpoints: int,
    workers: workers_lib.Workers,
  ):
    """Restores the last checkpoint of `workdir` where there is one.

    Args:
      trainer: the inner step, its variables created.
      plateau: whose state belongs to it; None where there is none.
      workdir: the run's directory.
      keep_checkpoints: how many of the last ones stay.
      workers: the processes that train together; the chief's files count.

    Raises:
      DataError: no checkpoint can be read, the newest is another network's,
        or workers don't see the same ones.
    """
    self._trainer = trainer
    self._workdir = workdir
    self._workers = workers
    self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
    self.summarized = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.validated = tf.Variable(0, dtype=tf.int64, trainable=False)
    parts = tf.train.Checkpoint(**trainer.embedder.parts)
    watched = {}
    if plateau is not None:
      plateau.build()
      watched["plateau"] = plateau
    last = tf.train.Checkpoint(
      parts=parts,
      optimizers=tf.train.Checkpoint(
        **{f"o{i}": o for i, o in enumerate(trainer.optimizers)}
      ),
      step=trainer.global_step,
      sums=trainer.sums,
      best=self._best,
      summarized=self.summarized,
      validated=self.validated,
      **watched,
    )
    best = tf.train.Checkpoint(parts=parts, step=trainer.global_step)
    self._last_checkpoints, self._best_checkpoints = (
      checkpoints_lib.Checkpoints(
        checkpoint,
        files.join(workdir, warm_start.FOLDERS[which]),
        keep=keep,
        writes=workers.is_chief,
      )
      for checkpoint, which, keep in (
        (last, warm_start.LAST, keep_checkpoints),
        (best, warm_start.BEST, 1),
      )
    )
    restored = self._last_checkpoints.restore(_warn)
    self._saved = self._position() if restored else None
    # Two checkpoints of one step may differ in what was done at it.
    for value in self._position():
      low, high = workers.extremes(value)
      if low != high:
        raise errors.DataError(
          f"{workdir}: some workers begin at step {low}, others at step "
          f"{high}: --workdir must be one folder that all of them see"
        )

  @property
  def step(self) -> int:
    """The step that training is at."""
    return int(self._trainer.global_step.numpy())

  def is_summarized(self) -> bool:
    """Whether the row of this step has been written."""
    return int(self.summarized.numpy()) == self.step

  def is_validated(self) -> bool:
    """Whether this step's network has been validated."""
    return int(self.validated.numpy()) == self.step

  def save(self) -> bool:
    """Writes a checkpoint unless the last one holds the same.

    Returns:
      Whether it wrote one.

    Raises:
      DataError: the loss has not been finite.
    """
    if self._saved == self._position():
      return False
    self.require_finite_sums()
    self._last_checkpoints.save(self.step)
    self._saved = self._position()
    return True

  def keep_best(self, score: float) -> None:
    """Writes the best checkpoint where the score is better than ever."""
    if score > float(self._best.numpy()):
      self._best.assign(score)
      self._best_checkpoints.save(self.step)

  def agreed(self, values: Mapping[str, float]) -> dict[str, float]:
    """The same on all workers, to the bit: decisions follow from them."""
    if self._workers.count == 1:
      return dict(values)
    agreed = {}
    for name in sorted(values):
      bits = int(np.float64(values[name]).view(np.int64))
      bits = self._workers.extremes(bits)[1]
      agreed[name] = float(np.int64(bits).view(np.float64))
    return agreed

  def require_finite(self, name: str, value: float) -> None:
    """Checks a measure.

    Raises:
      DataError: it is not finite.
    """
    if not math.isfinite(value):
      raise errors.DataError(
        f"{self._workdir}: {name} is {value} at step {self.step}; the last "
        f"checkpoint is kept: lower the learning rate or check the data"
      )

  def require_finite_sums(self) -> None:
    """Checks the steps since the last row; every worker calls it.

    Raises:
      DataError: a loss or a gradient of theirs has not been finite.
    """
    total = tf.reduce_sum(tf.convert_to_tensor(self._trainer.sums))
    self.require_finite("a sum of losses and measures", float(total))

  def _position(self) -> tuple[int, int, int]:
    return (
      self.step,
      int(self.summarized.numpy()),
      int(self.validated.numpy()),
    )


def _warn(message: str) -> None:
  print(f"WARNING: {message}", file=sys.stderr, flush=True)
