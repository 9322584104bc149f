"""The share of a training step that waits for its batch."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from music_embed.data.pipeline import triplets
from music_embed.data.records import prepared, quantize
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import mobilenet, resnet
from music_embed.models.heads import projection
from music_embed.objectives import triplet
from music_embed.runs import restore
from music_embed.training import inputs, optimizers, task
from music_embed.training import strategy as strategy_lib
from music_embed.training import trainer as trainer_lib
from tools.performance import datasets, materialized, measure

_TRIPLETS = 44
_STEPS = {"mobilenet": 20, "resnet18": 8}
_WARM_UP_STEPS = 3


def figures(scratch: str) -> list[measure.Figure]:
  """Waiting beside the whole step, for each network and source."""
  data = datasets.write(os.path.join(scratch, "input"))
  source = triplets.TripletSource(batch_triplets=_TRIPLETS)
  folder = os.path.join(scratch, "input_materialized")
  steps_needed = _WARM_UP_STEPS + max(_STEPS.values())
  sources = {
    "positioned": source,
    "materialized": materialized.write(data, source, folder, steps_needed),
  }
  found = []
  for name, steps in _STEPS.items():
    for kind, chosen in sources.items():
      waits, wholes = _timed(name, chosen, data, steps)
      found.append(
        measure.Figure(
          f"input_share_{name}_{kind}",
          100.0 * sum(waits) / sum(wholes),
          "%",
          "whole step, ms",
          1e3 * statistics.median(wholes),
        )
      )
  return found


def _timed(
  name: str, source: Any, data: prepared.PreparedDataset, steps: int
) -> tuple[list[float], list[float]]:
  """Seconds of waiting, and of everything, of each step."""
  strategy = strategy_lib.OneDevice().create()
  backbone = resnet.ResNet18 if name == "resnet18" else mobilenet.MobileNet
  embedder = embedder_lib.Embedder(
    backbone=backbone(), projection=projection.Projection()
  )
  tasks = [task.Task(triplet.TripletObjective(), source)]
  with strategy.scope():
    restore.build(embedder, data, seed=0)
    trainer = trainer_lib.Trainer(
      embedder=embedder,
      tasks=tasks,
      optimizers=[optimizers.PartOptimizer(("backbone", "projection"), 1e-4)],
      preprocess=lambda x, *_: quantize.dequantize_tf(x, data.quantization),
      seed=0,
    )
  step = tf.function(lambda batch: trainer.train_step(iter((batch,))))
  batches: Iterator[Any] = iter(
    inputs.distribute(tasks, data, strategy=strategy, seed=0, first_step=0)
  )
  waits, wholes = [], []
  for number in range(_WARM_UP_STEPS + steps):
    began = time.perf_counter()
    batch = next(batches)
    waited = time.perf_counter() - began
    step(batch)
    if number >= _WARM_UP_STEPS:
      waits.append(waited)
      wholes.append(time.perf_counter() - began)
  return waits, wholes
