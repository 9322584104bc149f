"""From the values of rows to what is stored, and back on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import types


def quantize(
  values: npt.NDArray[Any], q: types.Quantization
) -> npt.NDArray[Any]:
  """Rounds to what can be stored; values outside the range are clipped.

  Args:
    values: float32 [...], finite.
    q: how to store.

  Returns:
    `q.storage` of the same shape; for integers, the error within the range
    is at most half a `q.step`.
  """
  if q.storage.kind == "f":
    finite = np.finfo(q.storage)
    return np.clip(values, finite.min, finite.max).astype(q.storage)
  limits = np.iinfo(q.storage)
  levels = (values - np.float32(q.offset)) * np.float32(1.0 / q.step)
  return np.clip(np.rint(levels), limits.min, limits.max).astype(q.storage)


def dequantize(
  stored: npt.NDArray[Any], q: types.Quantization
) -> npt.NDArray[Any]:
  """Inverse of `quantize` up to rounding: [...] -> float32 [...]."""
  values = stored.astype(np.float32)
  if q.storage.kind == "f":
    return values
  return values * np.float32(q.step) + np.float32(q.offset)


def dequantize_tf(stored: Any, q: types.Quantization) -> Any:
  """`dequantize` as TensorFlow ops, to run on the device.

  Args:
    stored: tensor [...] of `q.storage`.
    q: how it was stored.

  Returns:
    float32 tensor of the same shape.
  """
  import tensorflow as tf  # Ingestion imports this module without TensorFlow.

  values = tf.cast(stored, tf.float32)
  if q.storage.kind == "f":
    return values
  return values * tf.constant(q.step, tf.float32) + tf.constant(
    q.offset, tf.float32
  )
