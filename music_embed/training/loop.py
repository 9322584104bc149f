"""The outer loop: orbit's controller, checkpoints, validation, levelling."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orbit
import tensorflow as tf
import tf_keras

from music_embed.core import errors, files
from music_embed.training import history as history_lib
from music_embed.training import plateau as plateau_lib
from music_embed.training import progress as progress_lib
from music_embed.training import trainer as trainer_lib
from music_embed.training import warm_start

_COLLAPSED = 0.9

Validate = Callable[[tf_keras.Model], Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class LoopOptions:
  """How a stage is cut into loops, validations and checkpoints.

  Attributes:
    train_steps: steps of the stage, at most.
    summary_steps: steps between rows of the history, which hold means over
      them; the plateau, the terminal's line and TensorBoard follow the rows.
    steps_per_loop: steps of one call into TensorFlow, at most; None takes
      `summary_steps`. Belongs to the hardware and changes no result.
    validation_steps: steps between validations.
    checkpoint_steps: steps between checkpoints; None takes
      `validation_steps`.
    best_measure: validation measure (higher is better) whose best checkpoint
      is kept under `best/`.
    keep_checkpoints: complete checkpoints kept; at least 2, so that a write
      cut short leaves one.
  """

  train_steps: int
  summary_steps: int = 100
  validation_steps: int = 1_000
  checkpoint_steps: int | None = None
  steps_per_loop: int | None = None
  best_measure: str = "link_ap"
  keep_checkpoints: int = 2

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      is_steps = field.name.endswith(("_steps", "_loop"))
      if is_steps and value is not None and value < 1:
        raise errors.ConfigError(
          f"LoopOptions.{field.name} must be at least 1, not {value}"
        )
    if self.keep_checkpoints < 2:
      raise errors.ConfigError("LoopOptions.keep_checkpoints must be >= 2")


class Loop:
  """Trains one stage in a directory, from its last complete checkpoint on."""

  def __init__(
    self,
    *,
    trainer: trainer_lib.Trainer,
    options: LoopOptions,
    workdir: str,
    plateau: plateau_lib.Plateau | None,
  ):
    """Restores the last checkpoint of `workdir` where there is one.

    Args:
      trainer: the inner step, its variables created.
      options: the cut.
      workdir: gets `checkpoints/`, `best/`, `summaries/`, `history.jsonl`.
      plateau: ends the stage early; None never does.
    """
    self._trainer = trainer
    self._options = options
    self._workdir = workdir
    self._plateau = plateau
    self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
    if plateau is not None:
      plateau.build()
    self._checkpoints = self._manager(self._state(), warm_start.LAST)
    self._best_checkpoints = self._manager(
      tf.train.Checkpoint(parts=_parts(trainer), step=trainer.global_step),
      warm_start.BEST,
    )
    path = self._checkpoints.latest_checkpoint
    if path is not None:
      self._checkpoints.checkpoint.restore(path).assert_consumed()
    self.first_step = int(trainer.global_step.numpy())
    self._history = history_lib.History(
      files.join(workdir, history_lib.FILE_NAME), first_step=self.first_step
    )

  @property
  def finished(self) -> bool:
    """Whether the stage has run its steps or has levelled off."""
    level = self._plateau is not None and self._plateau.is_level(self.step)
    return self.step >= self._options.train_steps or level

  def run(
    self, *, validate: Validate | None, progress: progress_lib.Progress
  ) -> None:
    """Trains to the end; validates and checkpoints at each interval.

    Raises:
      DataError: the loss is not finite; the last checkpoint stays.
    """
    controller = self._controller(progress)
    progress.start(self.step)
    if self.first_step == 0 and not self._checkpoints.latest_checkpoint:
      self._save()
    while not self.finished:
      interval = self._options.validation_steps
      stop = (self.step // interval + 1) * interval
      with _quiet_orbit():
        controller.train(
          min(stop, self._options.train_steps), checkpoint_at_completion=False
        )
      if validate is not None:
        self._validate(validate, controller, progress)
      self._save()
      progress.start(self.step)

  @property
  def step(self) -> int:
    """The step that training is at."""
    return int(self._trainer.global_step.numpy())

  def _state(self) -> tf.train.Checkpoint:
    extra: dict[str, Any] = {}
    if self._plateau is not None:
      extra["plateau"] = self._plateau
    return tf.train.Checkpoint(
      parts=_parts(self._trainer),
      optimizers=tf.train.Checkpoint(
        **{f"o{i}": o for i, o in enumerate(self._trainer.optimizers)}
      ),
      step=self._trainer.global_step,
      best=self._best,
      **extra,
    )

  def _manager(
    self, checkpoint: tf.train.Checkpoint, which: str
  ) -> tf.train.CheckpointManager:
    return tf.train.CheckpointManager(
      checkpoint,
      files.join(self._workdir, warm_start.FOLDERS[which]),
      max_to_keep=(
        1 if which == warm_start.BEST else self._options.keep_checkpoints
      ),
      step_counter=self._trainer.global_step,
      checkpoint_interval=1,
    )

  def _controller(self, progress: progress_lib.Progress) -> orbit.Controller:
    with _quiet_orbit():
      return orbit.Controller(
        global_step=self._trainer.global_step,
        trainer=self._trainer,
        steps_per_loop=self._options.summary_steps,
        summary_dir=files.join(self._workdir, "summaries"),
        train_actions=[lambda output: self._after_loop(output, progress)],
      )

  def _after_loop(
    self, output: Mapping[str, Any], progress: progress_lib.Progress
  ) -> None:
    del output
    values = self._trainer.take_sums()
    for name, value in values.items():
      if not math.isfinite(value):
        raise errors.DataError(
          f"{self._workdir}: {name} is {value} at step {self.step}; the last "
          f"checkpoint is kept: lower the learning rate or check the data"
        )
    self._history.append(step=self.step, split="train", values=values)
    progress.report(self.step, values)
    for name, value in values.items():
      if name.endswith("/collapsed") and value > _COLLAPSED:
        progress.warn(
          f"{name} is {value:.2f}: the loss sits at the margin, since all "
          f"embeddings are nearly equal; lower the learning rate"
        )
    plateau = self._plateau
    if plateau is not None and not plateau.measure.startswith("validation/"):
      self._update_plateau(plateau, plateau.measure, values)

  def _validate(
    self,
    validate: Validate,
    controller: orbit.Controller,
    progress: progress_lib.Progress,
  ) -> None:
    values = dict(validate(self._trainer.embedder))
    self._history.append(step=self.step, split="validation", values=values)
    controller.summary_manager.write_summaries(
      {f"validation/{name}": value for name, value in values.items()}
    )
    plateau = self._plateau
    if plateau is not None and plateau.measure.startswith("validation/"):
      name = plateau.measure.removeprefix("validation/")
      self._update_plateau(plateau, name, values)
    score = values.get(self._options.best_measure)
    if score is None:
      progress.warn(
        f"validation gives no {self._options.best_measure!r} "
        f"(LoopOptions.best_measure) but {', '.join(sorted(values)) or 'none'}"
        f": no best checkpoint is kept, the last one will be used"
      )
    elif score > float(self._best.numpy()):
      self._best.assign(score)
      self._best_checkpoints.save(checkpoint_number=self.step)

  def _update_plateau(
    self,
    plateau: plateau_lib.Plateau,
    name: str,
    values: Mapping[str, float],
  ) -> None:
    if name not in values:
      raise errors.ConfigError(
        f"Plateau.measure {plateau.measure!r}: there are only "
        f"{', '.join(sorted(values)) or 'no measures'}"
      )
    plateau.update(self.step, values[name])

  def _save(self) -> None:
    self._checkpoints.save(checkpoint_number=self.step)


def _parts(trainer: trainer_lib.Trainer) -> tf.train.Checkpoint:
  return tf.train.Checkpoint(**trainer.embedder.parts)


@contextlib.contextmanager
def _quiet_orbit() -> Iterator[None]:
  """Orbit prints its own lines to standard output; ours say more."""
  with contextlib.redirect_stdout(io.StringIO()):
    yield
