"""Where a run computes: one device, or all the devices of one host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from music_embed.core import errors


@dataclasses.dataclass(frozen=True)
class OneDevice:
  """Trains on a single device.

  Attributes:
    device: e.g. "GPU:0"; None takes the first GPU, else the CPU.
  """

  device: str | None = None

  def create(self) -> tf.distribute.Strategy:
    """The tf.distribute strategy; initialises TensorFlow's devices."""
    gpus = tf.config.list_logical_devices("GPU")
    default = gpus[0].name if gpus else "CPU:0"
    return tf.distribute.OneDeviceStrategy(self.device or default)


@dataclasses.dataclass(frozen=True)
class Mirrored:
  """Trains synchronously on several devices of one host.

  Attributes:
    devices: e.g. ["GPU:0", "GPU:1"]; None takes every GPU.
  """

  devices: Sequence[str] | None = None

  def create(self) -> tf.distribute.Strategy:
    """The tf.distribute strategy; initialises TensorFlow's devices.

    Raises:
      ConfigError: no devices are named and the host has no GPU.
    """
    if self.devices is None and not tf.config.list_logical_devices("GPU"):
      raise errors.ConfigError(
        "strategy Mirrored: this host has no GPU; name devices, or use "
        "OneDevice"
      )
    return tf.distribute.MirroredStrategy(self.devices)
