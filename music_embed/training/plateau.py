"""Ends a stage when a measure has levelled off."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import tensorflow as tf

from music_embed.core import errors

VALIDATION = "validation/"
"""Begins the names of validation measures."""


class Plateau(tf.Module):
  """Watches a smoothed measure; its state is saved with the checkpoint.

  The paper moves from the triplet stage to the label stage when the training
  loss levels off (Huang et al. 2020, section 3). Here: the exponentially
  smoothed measure has not bettered its best by `min_relative_change` for
  `patience_steps` steps.
  """

  def __init__(
    self,
    *,
    measure: str,
    patience_steps: int,
    min_relative_change: float = 0.01,
    smoothing: float = 0.9,
    min_steps: int = 0,
    mode: str | None = None,
  ):
    """Creates the watcher.

    Args:
      measure: name in the history, e.g. "triplet/loss" (training) or
        "validation/link_ap".
      patience_steps: steps without a better value before it is level.
      min_relative_change: smallest relative betterment that counts.
      smoothing: weight of the past in the smoothed value, in [0, 1).
      min_steps: never level before this step.
      mode: "min" where lower is better, "max" where higher is; None takes
        "min" for losses and "max" for measures of the validation.

    Raises:
      ConfigError: a value is out of range, or `mode` cannot be told from the
        measure.
    """
    super().__init__(name="plateau")
    if mode is None:
      mode = _mode_of(measure)
    _require(mode in ("min", "max"), "mode", "'min' or 'max'", mode)
    _require(0 <= smoothing < 1, "smoothing", "in [0, 1)", smoothing)
    _require(patience_steps >= 1, "patience_steps", "1 or more", patience_steps)
    _require(min_steps >= 0, "min_steps", "0 or more", min_steps)
    _require(
      min_relative_change >= 0,
      "min_relative_change",
      "0 or more",
      min_relative_change,
    )
    self.measure = measure
    self._patience_steps = patience_steps
    self._min_relative_change = min_relative_change
    self.smoothing = smoothing
    self._min_steps = min_steps
    self._sign = 1.0 if mode == "min" else -1.0

  def build(self) -> None:
    """Creates the state; separate because it starts TensorFlow's devices."""
    self.smoothed = tf.Variable(math.nan, dtype=tf.float64, trainable=False)
    self.best = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
    self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.last_step = tf.Variable(0, dtype=tf.int64, trainable=False)

  @property
  def needs_validation(self) -> bool:
    """Whether the measure is one of the validation."""
    return self.measure.startswith(VALIDATION)

  def check(
    self,
    *,
    train_measures: Collection[str],
    summary_steps: int,
    validation_steps: int | None,
  ) -> None:
    """Checks that the stage gives what the rule watches, often enough.

    Args:
      train_measures: names of the history's training rows.
      summary_steps: steps between those.
      validation_steps: steps between validations; None where there are none.

    Raises:
      ConfigError: the measure is unknown, needs a validation that the stage
        lacks, or comes less often than the patience lasts.
    """
    if self.needs_validation and validation_steps is None:
      raise errors.ConfigError(
        f"Plateau.measure is {self.measure!r}, but the stage has no validation"
      )
    if not self.needs_validation and self.measure not in train_measures:
      raise errors.ConfigError(
        f"Plateau.measure {self.measure!r}: there are only "
        f"{', '.join(sorted(train_measures))}, and {VALIDATION}..."
      )
    every = validation_steps if self.needs_validation else summary_steps
    if every is not None and self._patience_steps < every:
      raise errors.ConfigError(
        f"Plateau.patience_steps is {self._patience_steps}, but "
        f"{self.measure!r} comes every {every} steps: it would be level at "
        f"the second value"
      )

  def value_in(self, values: Mapping[str, float]) -> float:
    """The measure among those of a validation.

    Raises:
      ConfigError: the validation does not give it.
    """
    name = self.measure.removeprefix(VALIDATION)
    if name not in values:
      raise errors.ConfigError(
        f"Plateau.measure {self.measure!r}: the validation gives only "
        f"{', '.join(sorted(values)) or 'no measures'}"
      )
    return values[name]

  def update(self, step: int, value: float) -> bool:
    """Takes one value and says whether the measure is level.

    Args:
      step: training step of the value.
      value: the measure.

    Returns:
      True when the stage should end.
    """
    self.last_step.assign(step)
    signed = self._sign * value
    previous = float(self.smoothed.numpy())
    if not math.isnan(previous):
      signed = self.smoothing * previous + (1 - self.smoothing) * signed
    self.smoothed.assign(signed)
    best = float(self.best.numpy())
    margin = self._min_relative_change * abs(best)
    if not math.isfinite(best) or signed < best - margin:
      self.best.assign(signed)
      self.best_step.assign(step)
    return self.is_level

  @property
  def is_level(self) -> bool:
    """Whether patience had run out at the last value; never without one."""
    if math.isnan(float(self.smoothed.numpy())):
      return False
    step = int(self.last_step.numpy())
    waited = step - int(self.best_step.numpy())
    return step >= self._min_steps and waited >= self._patience_steps


def _mode_of(measure: str) -> str:
  if measure.endswith("loss"):
    return "min"
  if measure.startswith(VALIDATION):
    return "max"
  raise errors.ConfigError(
    f"Plateau.mode: say whether 'min' or 'max' of {measure!r} is better"
  )


def _require(holds: bool, name: str, what: str, value: object) -> None:
  if not holds:
    raise errors.ConfigError(f"Plateau.{name} must be {what}, not {value!r}")
