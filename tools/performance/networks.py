"""Training steps of each network and precision beside PyTorch's.

The same layers, loss, optimiser and batch, on fixed data; on an accelerator
also the share of the arithmetic that a matrix product reaches there.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from music_embed.core import keys
from music_embed.models import counting
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import mobilenet, resnet, small_cnn
from music_embed.models.heads import projection
from music_embed.objectives import triplet
from music_embed.training import optimizers, task
from music_embed.training import strategy as strategy_lib
from music_embed.training import trainer as trainer_lib
from tools.performance import measure

_TRIPLETS = 44
_WINDOWS = 3 * _TRIPLETS
_WINDOW_SHAPE = (300, 64)
_ROUNDS = 5
_BACKBONES = {
  "small_cnn": small_cnn.SmallCNN,
  "mobilenet": mobilenet.MobileNet,
  "resnet18": resnet.ResNet18,
}
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_MULTIPLIES_OF_TRAINING = 3  # Forward, and twice as many backward.
_MATMUL = 8_192


def figures(scratch: str) -> list[measure.Figure]:
  """Windows a second, ours beside PyTorch's, network by network."""
  del scratch
  torch_step = _torch()
  windows = np.random.default_rng(0).normal(size=(_TRIPLETS, 3, *_WINDOW_SHAPE))
  peaks = {}
  if _device() != "CPU":
    peaks = {name: _peak(policy) for name, policy in _POLICIES.items()}
  found = []
  for network in _BACKBONES:
    candidates: dict[str, Callable[[], Any]] = {}
    multiplies = 0
    for precision, policy in _POLICIES.items():
      own, multiplies = _step(network, policy, windows.astype(np.float32))
      candidates[precision] = own
      if torch_step is not None:
        candidates[f"torch {precision}"], _ = torch_step(
          network,
          windows.astype(np.float32),
          bfloat16=precision == "bfloat16",
        )
    rates = _rates(candidates)
    operations = 2 * _MULTIPLIES_OF_TRAINING * multiplies
    for precision in _POLICIES:
      found.append(_figure(network, precision, rates))
      if peaks:  # On a CPU convolutions are faster than a matrix product.
        found.append(
          measure.Figure.beside(
            f"arithmetic_{network}_{precision}",
            rates[precision] * operations / 1e9,
            "GFLOP/s",
            f"matrix product, {_device()}",
            peaks[precision] / 1e9,
          )
        )
  return found


def _figure(
  network: str, precision: str, rates: Mapping[str, float]
) -> measure.Figure:
  name, ours = f"train_{network}_{precision}", rates[precision]
  theirs = rates.get(f"torch {precision}")
  if theirs is None:
    return measure.Figure(name, ours, "windows/s")
  return measure.Figure.beside(
    name, ours, "windows/s", f"PyTorch, {precision}, CPU", theirs
  )


def _torch() -> Callable[..., Any] | None:
  if _device() != "CPU":
    return None  # Its CPU build would be no peer.
  try:
    from tools.performance import torch_networks
  except ImportError:
    measure.say(
      "PyTorch is not installed: its rows are left out (pip install torch, "
      "its CPU build; the package's extra 'perf')"
    )
    return None
  return torch_networks.step


def _step(
  network: str, policy: str, windows: npt.NDArray[Any]
) -> tuple[Callable[[], Any], int]:
  """The trainer's step on fixed data, and the multiplies of one window."""
  tf_keras.mixed_precision.set_global_policy(policy)
  options = strategy_lib.OneDevice()
  strategy = options.create()
  embedder = embedder_lib.Embedder(
    backbone=_BACKBONES[network](), projection=projection.Projection()
  )
  tasks = [task.Task(triplet.TripletObjective(), None)]  # type: ignore[arg-type]
  with strategy.scope():
    embedder(tf.zeros([2, *_WINDOW_SHAPE]), training=False)
    trainer = trainer_lib.Trainer(
      embedder=embedder,
      tasks=tasks,
      optimizers=[optimizers.PartOptimizer(("backbone", "projection"), 1e-4)],
      preprocess=lambda x, *_: x,
      seed=0,
      jit_compile=_device() != "CPU",
    )
    batch = {
      keys.WINDOWS: tf.constant(windows),
      keys.NEGATIVE_ALLOWED: tf.ones([_TRIPLETS, _TRIPLETS], tf.bool),
    }
  _, multiplies = counting.total(counting.count(embedder))
  step = tf.function(
    lambda: strategy.run(trainer.step_function, args=((batch,),))
  )
  tf_keras.mixed_precision.set_global_policy("float32")
  return lambda: step().numpy(), multiplies


def _rates(candidates: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
  """Windows a second of each: medians over alternating blocks."""
  seconds: dict[str, list[float]] = {name: [] for name in candidates}
  for turn in range(_ROUNDS + 1):
    for name, candidate in candidates.items():
      if not turn:
        candidate()  # Traces; the next one warms up.
      repeats = 1 if _device() == "CPU" else 20
      began = time.perf_counter()
      for _ in range(repeats):
        candidate()
      if turn:
        seconds[name].append((time.perf_counter() - began) / repeats)
  return {
    name: _WINDOWS / statistics.median(values)
    for name, values in seconds.items()
  }


def _peak(policy: str) -> float:
  """Operations a second of a large matrix product."""
  dtype = tf.bfloat16 if "bfloat16" in policy else tf.float32
  matrix = tf.cast(tf.random.stateless_normal([_MATMUL] * 2, [0, 0]), dtype)
  product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
  seconds = []
  for turn in range(_ROUNDS + 1):
    began = time.perf_counter()
    product().numpy()
    if turn:
      seconds.append(time.perf_counter() - began)
  return float(2 * _MATMUL**3 / statistics.median(seconds))


def _device() -> str:
  """The name of the accelerator, or CPU."""
  gpus = tf.config.list_physical_devices("GPU")
  if not gpus:
    return "CPU"
  details = tf.config.experimental.get_device_details(gpus[0])
  return str(details.get("device_name", "GPU"))
