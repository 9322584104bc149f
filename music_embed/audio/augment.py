"""Augmentations of log-mel windows, on the device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.core import types


class RandomEq:
  """One random smooth equaliser, and level, for every window.

  Gains at `num_knots` points spread evenly over the mel bins are normally
  distributed and joined by raised cosines. They act on the magnitudes under
  the logarithm, as an equaliser before the front end would (up to its
  change within one mel bin): log((exp(x) - offset) * gain + offset).
  """

  def __init__(
    self,
    *,
    gain_db: float,
    num_knots: int = 8,
    level_db: float = 0.0,
    log_offset: float = types.LogMelFrontEnd.log_offset,
  ) -> None:
    """Creates the augmentation.

    Args:
      gain_db: standard deviation of the gain at a knot.
      num_knots: points of the curve, at least two.
      level_db: standard deviation of a gain common to all bins.
      log_offset: the front end's offset under the logarithm.
    """
    if num_knots < 2:
      raise ValueError(f"num_knots must be at least 2, not {num_knots}")
    self._gain_db = gain_db
    self._num_knots = num_knots
    self._level_db = level_db
    self._log_offset = log_offset

  @property
  def log_offset(self) -> float:
    """The front end's offset that it assumes."""
    return self._log_offset

  def __call__(
    self,
    log_mel: tf.Tensor,
    seed: tf.Tensor,
    replica: tf.Tensor | int = 0,
    num_replicas: int = 1,
  ) -> tf.Tensor:
    """Applies a new curve to each window.

    Curves are drawn for the global batch, so they do not depend on how many
    replicas share it.

    Args:
      log_mel: this replica's windows, float [batch, frames, bins].
      seed: int32 [2]; the same seed gives the same curves.
      replica: which slice of the global batch this is, int32 scalar.
      num_replicas: equal slices that there are.

    Returns:
      float [batch, frames, bins], of the same dtype.
    """
    batch = log_mel.shape[0]
    if batch is None:
      batch = tf.shape(log_mel)[0]
    gains = self.gains(batch * num_replicas, log_mel.shape[-1], seed)
    if num_replicas > 1:
      gains = tf.slice(gains, [replica * batch, 0], [batch, gains.shape[1]])
    gains = tf.cast(gains, log_mel.dtype)
    # Quantised silence may lie a rounding step below log(offset).
    mel = tf.nn.relu(tf.exp(log_mel) - self._log_offset)
    return tf.math.log(mel * gains[:, None, :] + self._log_offset)

  def gains(
    self, batch: tf.Tensor | int, num_bins: int, seed: tf.Tensor
  ) -> tf.Tensor:
    """Factors on mel magnitudes: float32 [batch, bins]."""
    normal = stateless_normal([batch, self._num_knots + 1], seed)
    curve = tf.matmul(
      normal[:, 1:], tf.constant(_interpolation(self._num_knots, num_bins))
    )
    decibels = self._gain_db * curve + self._level_db * normal[:, :1]
    return tf.pow(10.0, decibels / 20.0)


def stateless_normal(
  shape: list[tf.Tensor | int], seed: tf.Tensor
) -> tf.Tensor:
  """Normal numbers, the same on every kind of device and under XLA.

  `tf.random.stateless_normal` gives others once XLA compiles it: of its
  generators only Philox's bits are the same everywhere. These are put through
  the inverse of the distribution, so they lie within 5.5 deviations.

  Args:
    shape: of the result.
    seed: int32 [2].

  Returns:
    float32 of that shape.
  """
  bits = tf.random.stateless_uniform(
    shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
  )
  # The middles of 2^24 equal parts of (-1, 1), exact in float32.
  level = tf.cast(
    tf.bitwise.right_shift(bits, tf.constant(8, bits.dtype)), tf.float32
  )
  return tf.sqrt(2.0) * tf.math.erfinv((level - 2.0**23 + 0.5) * 2.0**-23)


def _interpolation(num_knots: int, num_bins: int) -> npt.NDArray[np.float32]:
  """Raised-cosine interpolation as a matrix, float32 [knots, bins]."""
  position = np.linspace(0.0, num_knots - 1.0, num_bins)
  distance = np.abs(position[None, :] - np.arange(num_knots)[:, None])
  weight = 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1.0))
  return weight.astype(np.float32)
