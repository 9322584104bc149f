"""Ends a stage when a measure has levelled off."""

from __future__ import annotations

import math

import tensorflow as tf

from music_embed.core import errors


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
    mode: str = "min",
  ):
    """Creates the watcher.

    Args:
      measure: name in the history, e.g. "triplet/loss" (training) or
        "validation/link_ap".
      patience_steps: steps without a better value before it is level.
      min_relative_change: smallest relative betterment that counts.
      smoothing: weight of the past in the smoothed value, in [0, 1).
      min_steps: never level before this step.
      mode: "min" for losses, "max" for scores.

    Raises:
      ValueError: `mode` or `smoothing` is out of range.
    """
    super().__init__(name="plateau")
    if mode not in ("min", "max"):
      raise ValueError(f"Plateau.mode must be 'min' or 'max', not {mode!r}")
    if not 0 <= smoothing < 1:
      raise ValueError(f"Plateau.smoothing must be in [0, 1), not {smoothing}")
    self.measure = measure
    self._patience_steps = patience_steps
    self._min_relative_change = min_relative_change
    self._smoothing = smoothing
    self._min_steps = min_steps
    self._sign = 1.0 if mode == "min" else -1.0

  def build(self) -> None:
    """Creates the state; separate because it starts TensorFlow's devices."""
    self.smoothed = tf.Variable(math.nan, dtype=tf.float64, trainable=False)
    self.best = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
    self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False)

  def require_training_measure(self) -> None:
    """Checks that the measure needs no validation.

    Raises:
      ConfigError: it does.
    """
    if self.measure.startswith("validation/"):
      raise errors.ConfigError(
        f"Plateau.measure is {self.measure!r}, but the stage has no validation"
      )

  def update(self, step: int, value: float) -> bool:
    """Takes one value and says whether the measure is level.

    Args:
      step: training step of the value.
      value: the measure.

    Returns:
      True when the stage should end.
    """
    signed = self._sign * value
    previous = float(self.smoothed.numpy())
    if not math.isnan(previous):
      signed = self._smoothing * previous + (1 - self._smoothing) * signed
    self.smoothed.assign(signed)
    best = float(self.best.numpy())
    margin = self._min_relative_change * abs(best)
    if not math.isfinite(best) or signed < best - margin:
      self.best.assign(signed)
      self.best_step.assign(step)
    return self.is_level(step)

  def is_level(self, step: int) -> bool:
    """Whether patience has run out at `step`; never without a value."""
    if math.isnan(float(self.smoothed.numpy())):
      return False
    waited = step - int(self.best_step.numpy())
    return step >= self._min_steps and waited >= self._patience_steps
