"""TensorFlow's settings that must be made before anything is built."""

from __future__ import annotations

import os
import sys

import tensorflow as tf
import tf_keras

from music_embed.core import errors

# No mixed_float16: it needs loss scaling, and bfloat16 does without.
_POLICIES = ("float32", "mixed_bfloat16", "float64")


def configure(
  *, num_threads: int | None = None, precision: str = "float32"
) -> None:
  """Sets threads and precision for this process.

  Args:
    num_threads: intra-op threads; None takes every core. Results repeat bit
      for bit on one CPU device for a fixed number.
    precision: Keras policy of layers made from now on; mining, normalisation
      and losses stay in at least float32 whatever it is.

  Raises:
    ConfigError: no such policy.
  """
  if precision not in _POLICIES:
    raise errors.ConfigError(
      f"runtime.configure.precision must be one of {', '.join(_POLICIES)}, not "
      f"{precision!r}"
    )
  tf_keras.mixed_precision.set_global_policy(precision)
  threads = num_threads or os.cpu_count() or 1
  if threads == tf.config.threading.get_intra_op_parallelism_threads():
    return
  try:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
  except RuntimeError:
    print(
      f"TensorFlow already runs with another number of threads than "
      f"{threads}: results may differ from those of a process of its own",
      file=sys.stderr,
    )


def settings() -> dict[str, str | int]:
  """What must stay the same for a resumed run to repeat exactly."""
  return {
    "tensorflow": tf.__version__,
    "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
    "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    "precision": tf_keras.mixed_precision.global_policy().name,
  }
