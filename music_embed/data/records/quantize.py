"""Affine uint8 quantisation of log-mels, and its inverse on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import types


def quantize(
  log_mel: npt.NDArray[Any], q: types.Quantization
) -> npt.NDArray[Any]:
  """Rounds to the nearest of 256 levels; values outside the range are clipped.

  Args:
    log_mel: float32 [..., frames, bins], finite.
    q: the range.

  Returns:
    uint8 of the same shape; within the range the error is at most half a
    `q.step`.
  """
  levels = (log_mel - np.float32(q.low)) * np.float32(1.0 / q.step)
  return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def dequantize(
  levels: npt.NDArray[Any], q: types.Quantization
) -> npt.NDArray[Any]:
  """Inverse of `quantize` up to rounding: uint8 [...] -> float32 [...]."""
  return levels.astype(np.float32) * np.float32(q.step) + np.float32(q.low)


def dequantize_tf(levels: Any, q: types.Quantization) -> Any:
  """`dequantize` as TensorFlow ops, to run on the device.

  Args:
    levels: uint8 tensor [...].
    q: the range.

  Returns:
    float32 tensor of the same shape.
  """
  import tensorflow as tf  # Ingestion imports this module without TensorFlow.

  return tf.cast(levels, tf.float32) * tf.constant(
    q.step, tf.float32
  ) + tf.constant(q.low, tf.float32)
