"""One TensorFlow set-up for every test: four CPU devices, one thread each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402


def _configure() -> None:
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(4)
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(4)]
  )


_configure()

# A shell has its background jobs ignore SIGINT, and they their children: what
# tests interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mirrored() -> Callable[[int], tf.distribute.MirroredStrategy]:
  """Makes the strategy of 1, 2 or 4 CPU devices; one a size and process."""
  made: dict[int, tf.distribute.MirroredStrategy] = {}

  def strategy(num_replicas: int) -> tf.distribute.MirroredStrategy:
    if num_replicas not in made:
      # Every strategy numbers its collective groups from the same key: two
      # sizes in one process collide. TensorFlow's own tests move the base.
      tf.distribute.MirroredStrategy._collective_key_base = 1000 * num_replicas
      made[num_replicas] = tf.distribute.MirroredStrategy(
        [f"CPU:{index}" for index in range(num_replicas)]
      )
    return made[num_replicas]

  return strategy


@pytest.fixture
def floatx() -> Iterator[Callable[[str], None]]:
  """Sets Keras's float type and precision policy for one test."""

  def set_dtype(dtype: str) -> None:
    tf_keras.backend.set_floatx(dtype)
    tf_keras.mixed_precision.set_global_policy(dtype)

  yield set_dtype
  set_dtype("float32")
