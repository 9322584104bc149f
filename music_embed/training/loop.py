"""The outer loop: orbit's controller, checkpoints, validation, levelling."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orbit
import tf_keras
from absl import logging

from music_embed.core import errors
from music_embed.training import interruption, records
from music_embed.training import plateau as plateau_lib
from music_embed.training import progress as progress_lib
from music_embed.training import state as state_lib
from music_embed.training import trainer as trainer_lib
from music_embed.training import workers as workers_lib

_COLLAPSED = 0.9

Validate = Callable[[tf_keras.Model, Callable[[], bool]], Mapping[str, float]]
"""(network, whether to stop) -> measures; raises `interruption.Stopped`."""


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
  """Trains one stage in a directory, from its last complete checkpoint on.

  Rows, validations and checkpoints lie at absolute multiples of their steps,
  and all that decides what follows is in the checkpoint. So where a run is
  interrupted changes nothing.
  """

  def __init__(
    self,
    *,
    trainer: trainer_lib.Trainer,
    options: LoopOptions,
    workdir: str,
    plateau: plateau_lib.Plateau | None = None,
    workers: workers_lib.Workers | None = None,
    stop: interruption.StopRequest | None = None,
  ):
    """Restores the last checkpoint of `workdir` where there is one.

    Args:
      trainer: the inner step, its variables created.
      options: the cut.
      workdir: gets `checkpoints/`, `best/`, `summaries/`, `history.jsonl` and
        `timing.jsonl`.
      plateau: ends the stage early; None never does.
      workers: the processes that train together; None is this one alone.
      stop: may end training early, with a checkpoint.

    Raises:
      DataError: no checkpoint can be read, the newest is another network's,
        or workers don't see the same ones.
    """
    self._trainer = trainer
    self._options = options
    self._workdir = workdir
    self._plateau = plateau
    self._workers = workers or workers_lib.Workers()
    self._stop = stop or interruption.StopRequest()
    self._state = state_lib.State(
      trainer=trainer,
      plateau=plateau,
      workdir=workdir,
      keep_checkpoints=options.keep_checkpoints,
      workers=self._workers,
    )
    self.first_step = self.step

  @property
  def step(self) -> int:
    """The step that training is at."""
    return self._state.step

  @property
  def ended(self) -> str | None:
    """Why there are no more steps: "steps", "level", or None: there are."""
    if self.step >= self._options.train_steps:
      return "steps"
    if self._plateau is not None and self._plateau.is_level:
      return "level"
    return None

  def run(
    self, *, validate: Validate | None, progress: progress_lib.Progress
  ) -> None:
    """Trains to the end; validates and checkpoints at each interval.

    Args:
      validate: measures the network; asked between batches whether to stop.
      progress: what a person sees.

    Raises:
      DataError: the loss is not finite; the last checkpoint stays.
      Interrupted: a stop was requested; the checkpoint is written.
    """
    self._progress = progress
    self._open_files()
    progress.start(self.step, self._waited_s())
    while True:
      self._summarize()
      is_whole = self._validate(validate)
      self._summarize()  # Of the steps before a validation that is the last.
      ended = self.ended if is_whole else None
      asked = self._is_asked()
      if asked or ended or self.step % self._checkpoint_steps == 0:
        self._save()
      if ended:
        return
      if asked:
        seconds = self._progress.measure(self.step).seconds
        self._records.other_time(self.step, "train", seconds)
        raise interruption.Interrupted(
          f"{self._workdir}: stopped at step {self.step}, its checkpoint is "
          f"written; run the same command to go on"
        )
      self._advance()

  @property
  def _checkpoint_steps(self) -> int:
    options = self._options
    return options.checkpoint_steps or options.validation_steps

  def _open_files(self) -> None:
    """Only the chief writes; the others' records go nowhere."""
    self._records = records.Records(
      self._workdir if self._workers.is_chief else None,
      summarized=int(self._state.summarized.numpy()),
      validated=int(self._state.validated.numpy()),
    )
    with _quiet_orbit():
      self._controller = orbit.Controller(
        global_step=self._trainer.global_step,
        trainer=self._trainer,
        steps_per_loop=(
          self._options.steps_per_loop or self._options.summary_steps
        ),
        train_actions=[self._after_loop],
      )

  def _advance(self) -> None:
    """Trains to the next boundary, or to where a stop was requested."""
    options = self._options
    every = (
      options.summary_steps,
      options.validation_steps,
      self._checkpoint_steps,
    )
    boundary = min((self.step // n + 1) * n for n in every)
    self._progress.resume()
    with _quiet_orbit(), contextlib.suppress(interruption.Stopped):
      self._controller.train(
        min(boundary, options.train_steps), checkpoint_at_completion=False
      )
    self._progress.pause()

  def _after_loop(self, output: Mapping[str, Any]) -> None:
    """Orbit would call a trainer again and again that has ended early."""
    del output
    if self._is_asked():
      raise interruption.Stopped

  def _is_asked(self) -> bool:
    """Whether any worker is asked to stop; all of them call it."""
    return self._workers.any(self._stop.requested)

  def _summarize(self) -> None:
    """Writes the row of the steps since the last one, where it is due."""
    step = self.step
    due = step % self._options.summary_steps == 0 or self.ended
    if not due or self._state.is_summarized():
      return
    values = self._trainer.take_sums()
    for name, value in values.items():
      self._state.require_finite(name, value)
    values |= self._trainer.learning_rates()
    speed = self._progress.measure(step, self._waited_s())
    self._records.train(step, values, speed)
    self._progress.report(step, values, speed)
    for name, value in values.items():
      if name.endswith("/collapsed") and value > _COLLAPSED:
        self._progress.warn(
          f"{name} is {value:.2f}: the loss sits at the margin, since all "
          f"embeddings are nearly equal; lower the learning rate"
        )
    self._state.summarized.assign(step)
    if self._plateau is not None and not self._plateau.needs_validation:
      self._plateau.update(step, values[self._plateau.measure])

  def _validate(self, validate: Validate | None) -> bool:
    """Validates where it is due; False where a stop request prevents it."""
    step = self.step
    due = step and (step % self._options.validation_steps == 0 or self.ended)
    if validate is None or not due or self._state.is_validated():
      return True
    if self._is_asked():
      return False
    # No row may be due here; a network of NaN must not be measured.
    self._state.require_finite_sums()
    # One of several workers cannot leave the others alone.
    alone = self._workers.count == 1
    start = time.monotonic()
    try:
      values = validate(
        self._trainer.embedder, lambda: alone and self._stop.requested
      )
    except interruption.Stopped:
      return False
    values = self._state.agreed(values)
    seconds = time.monotonic() - start
    self._records.validation(step, values, seconds)
    self._progress.report_validation(step, values, seconds)
    if self._plateau is not None and self._plateau.needs_validation:
      self._plateau.update(step, self._plateau.value_in(values))
    self._state.validated.assign(step)
    self._keep_best(values)
    return True

  def _keep_best(self, values: Mapping[str, float]) -> None:
    score = values.get(self._options.best_measure)
    if score is None:
      self._progress.warn(
        f"validation gives no {self._options.best_measure!r} "
        f"(LoopOptions.best_measure) but {', '.join(sorted(values)) or 'none'}"
        f": no best checkpoint is kept, the last one will be used"
      )
    else:
      self._state.keep_best(score)

  def _save(self) -> None:
    start = time.monotonic()
    if self._state.save():
      seconds = time.monotonic() - start
      self._records.other_time(self.step, "checkpoint", seconds)

  def _waited_s(self) -> float:
    return float(self._trainer.input_wait_s.numpy())


@contextlib.contextmanager
def _quiet_orbit() -> Iterator[None]:
  """Orbit prints its own lines to standard output; ours say more."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logging.set_verbosity(verbosity)
