"""Small stages that are trained on any strategy, and what they come to.

The tests run them in their own process and, through `replica_worker.py`, in
two processes.
"""

from __future__ import annotations

import ctypes
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from music_embed.audio import augment
from music_embed.core import files, keys, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.pipeline import labelled, triplets
from music_embed.data.records import (
  manifest,
  prepared,
  quantize,
  schema,
  writer,
)
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import mobilenet, resnet, small_cnn
from music_embed.models.heads import label_softmax as label_head
from music_embed.models.heads import projection
from music_embed.models.heads import sharded_label_softmax as sharded_head
from music_embed.objectives import (
  label_softmax,
  replicas,
  semi_hard,
  sharded_label_softmax,
  triplet,
)
from music_embed.runs import restore
from music_embed.runs import train as runs_train
from music_embed.training import inputs, loop, optimizers, task, trainer

FRONT_END = types.LogMelFrontEnd(num_bins=16, window_frames=256)
"""The smallest window that every network takes."""

TRIPLETS = 8
WINDOWS = 8
_RECORDINGS = {"train": 20, "validation": 4, "evaluation": 4}
_LABELS = 11
_SEED = 5

Arrays = dict[str, np.ndarray]


class Watched(triplet.TripletObjective):
  """The triplet objective that also tells which negative each pair got."""

  @property
  def metric_names(self) -> tuple[str, ...]:
    pairs = tuple(f"negative_{pair}" for pair in range(TRIPLETS))
    return (*super().metric_names, *pairs)

  def from_embeddings(
    self, embedding: tf.Tensor, allowed: tf.Tensor
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    loss, metrics = super().from_embeddings(embedding, allowed)
    anchor, positive, negative = tf.unstack(embedding, axis=1)
    index, found = semi_hard.mine(
      anchor, positive, replicas.gather(negative), allowed
    )
    # Metrics are summed over replicas: each gives its own pairs' only.
    mined = tf.where(found, index, -1)[:, tf.newaxis]
    own = replicas.gather(mined)[:, 0] / replicas.num_replicas()
    for pair in range(TRIPLETS):
      metrics[f"negative_{pair}"] = own[pair]
    return loss, metrics


@dataclasses.dataclass(frozen=True)
class Case:
  """A network and a stage.

  Attributes:
    backbone: makes the network.
    stage: "triplet", "label" or "sharded" (labels, with the sharded head).
  """

  backbone: Callable[[], tf_keras.layers.Layer]
  stage: str

  def embedder(self) -> embedder_lib.Embedder:
    """The network, not yet built."""
    heads = {
      "triplet": lambda: None,
      "label": label_head.LabelSoftmaxHead,
      "sharded": lambda: sharded_head.ShardedLabelSoftmaxHead(num_blocks=2),
    }
    return embedder_lib.Embedder(
      backbone=self.backbone(),
      projection=projection.Projection(dim=6),
      label_head=heads[self.stage](),
    )

  def tasks(self) -> list[task.Task]:
    """The stage's only one."""
    if self.stage == "triplet":
      source = triplets.TripletSource(batch_triplets=TRIPLETS)
      return [task.Task(Watched(margin=0.5), source)]
    objective = {
      "label": label_softmax.LabelSoftmaxObjective,
      "sharded": sharded_label_softmax.ShardedLabelSoftmaxObjective,
    }[self.stage]()
    source = labelled.LabelledSource(batch_windows=WINDOWS)
    return [task.Task(objective, source, 2.0)]

  def optimizers(self) -> list[optimizers.PartOptimizer]:
    """One for the network and, in the label stages, one for the head."""
    network = optimizers.PartOptimizer(("backbone", "projection"), 1e-4)
    head = optimizers.PartOptimizer(("label_head",), 1e-2, decay_steps=100)
    return [network] if self.stage == "triplet" else [network, head]


_BACKBONES = {
  "small_cnn": lambda: small_cnn.SmallCNN(width_multiplier=0.3),
  "mobilenet": lambda: mobilenet.MobileNet(width_multiplier=0.1),
  "resnet18": lambda: resnet.ResNet18(width_multiplier=1 / 32),
}

CASES = {
  f"{network}_{stage}": Case(backbone, stage)
  for network, backbone in _BACKBONES.items()
  for stage in ("triplet", "label", "sharded")
}


def set_floatx(dtype: str) -> None:
  """Sets Keras's float type and precision policy."""
  tf_keras.backend.set_floatx(dtype)
  tf_keras.mixed_precision.set_global_policy(dtype)


def train(
  case: Case,
  strategy: tf.distribute.Strategy,
  dataset: str,
  *,
  steps: int,
  scratch: pathlib.Path,
  seed: int = _SEED,
) -> Arrays:
  """Trains a stage, and gives all that it came to.

  Args:
    case: which.
    strategy: where; every process of it must call this.
    dataset: directory of `write_dataset`.
    steps: how many.
    scratch: an empty directory of this process's own.
    seed: of weights, batches and augmentation.

  Returns:
    Each metric [steps], and under its checkpoint name each variable of the
    network and of the optimisers.
  """
  made, batches = trainer_of(case, strategy, dataset, seed=seed)
  made.set_dataset(batches)
  rows = []
  for _ in range(steps):
    made.train(tf.constant(1))
    rows.append(made.take_sums())
  metrics = {name: np.array([row[name] for row in rows]) for name in rows[0]}
  # TensorFlow takes up to a minute to end a distributed iterator's threads.
  ctypes.pythonapi.Py_IncRef(ctypes.py_object(made._train_iter))
  return metrics | _variables(made, scratch)


def run(
  case: Case, dataset: str, workdir: str, *, steps: int, strategy: Any
) -> None:
  """Trains to a step as launch/train.py does, or goes on with that.

  Args:
    case: which.
    dataset: directory of `write_dataset`.
    workdir: the run's directory.
    steps: where it stops.
    strategy: one of `training.strategy`, or what has its `create`.
  """
  runs_train.train(
    workdir=workdir,
    dataset=dataset,
    embedder=case.embedder(),
    tasks=case.tasks(),
    optimizers=case.optimizers(),
    loop=loop.LoopOptions(steps, summary_steps=1, checkpoint_steps=steps),
    strategy=strategy,
    augment=_equalizer(),
    seed=_SEED,
  )


def step_of(
  case: Case, dataset: str
) -> tuple[trainer.Trainer, Callable[..., tf.Tensor], list[tf.Tensor]]:
  """A new trainer's step of one replica, without its input.

  Args:
    case: which.
    dataset: directory of `write_dataset`.

  Returns:
    The trainer, its step as a function of tensors, and their values.
  """
  made, _ = trainer_of(case, tf.distribute.get_strategy(), dataset)
  data = prepared.PreparedDataset(dataset)
  batches = []
  for one in case.tasks():
    source = one.source.batches(data, seed=_SEED, first_step=0)
    batch = next(iter(source))
    del batch[keys.RECORDING]  # No step needs it.
    batches.append(batch)

  def step(*tensors: tf.Tensor) -> tf.Tensor:
    return made.replica_step(tf.nest.pack_sequence_as(batches, tensors))

  return made, step, tf.nest.flatten(batches)


def trainer_of(
  case: Case,
  strategy: tf.distribute.Strategy,
  dataset: str,
  *,
  seed: int = _SEED,
) -> tuple[trainer.Trainer, tf.distribute.DistributedDataset]:
  """The trainer of a stage, and its batches."""
  data = prepared.PreparedDataset(dataset)
  equalizer = _equalizer()

  def preprocess(stored, seed, replica, num_replicas):
    windows = quantize.dequantize_tf(stored, data.quantization)
    flat = tf.reshape(windows, [-1, *data.window_shape])
    flat = equalizer(flat, seed, replica, num_replicas)
    return tf.reshape(flat, windows.shape)

  with strategy.scope():
    embedder = case.embedder()
    restore.build(embedder, data, seed=seed)
    made = trainer.Trainer(
      embedder=embedder,
      tasks=case.tasks(),
      optimizers=case.optimizers(),
      preprocess=preprocess,
      seed=seed,
    )
  batches = inputs.distribute(
    case.tasks(), data, strategy=strategy, seed=seed, first_step=0
  )
  return made, batches


def _equalizer() -> augment.RandomEq:
  return augment.RandomEq(gain_db=6.0, level_db=3.0)


def _variables(made: trainer.Trainer, scratch: pathlib.Path) -> Arrays:
  """Weights and optimiser slots, as a checkpoint holds them."""
  checkpoint = tf.train.Checkpoint(
    parts=tf.train.Checkpoint(**made.embedder.parts),
    optimizers=tf.train.Checkpoint(
      **{f"o{i}": o for i, o in enumerate(made.optimizers)}
    ),
  )
  reader = tf.train.load_checkpoint(checkpoint.write(str(scratch / "all")))
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if not name.startswith("_CHECKPOINTABLE") and "save_counter" not in name
  }


def write_dataset(directory: str) -> None:
  """Writes random recordings, a graph and labels as prepare.py would."""
  rng = np.random.default_rng(7)
  num = sum(_RECORDINGS.values())
  files.make_dirs(directory)
  records = [
    schema.RecordingRecord(
      f"id{index}",
      f"title {index}",
      f"artist {index}",
      np.flatnonzero(rng.random(_LABELS) < 0.3) if index % 4 else np.arange(0),
      _log_mel(rng),
    )
    for index in range(num)
  ]
  entries, start = [], 0
  for split, size in _RECORDINGS.items():
    name = files.shard_name(split, 0, 1)
    entries += writer.write_recordings(
      directory, name, records[start : start + size]
    )
    start += size
  first, second = np.nonzero(np.triu(rng.random((num, num)) < 0.25, 1))
  graph = graph_lib.Graph.from_edges(
    num, first, second, np.full(len(first), 3, np.int64)
  )
  entries += writer.write_graph(directory, graph, vertices_per_shard=100)
  words = [f"word {index}" for index in range(_LABELS)]
  entries.append(
    writer.write_vocabulary(directory, words, range(_LABELS, 0, -1))
  )
  manifest.Manifest(
    front_end=FRONT_END,
    quantization=types.Quantization.default(FRONT_END),
    seed=0,
    options={},
    inputs={},
    splits=dict(_RECORDINGS),
    counts={"labels": _LABELS},
    files=tuple(entries),
  ).save(directory)


def _log_mel(rng: np.random.Generator) -> np.ndarray:
  """A spectrum of its own under noise, uint8 [frames, bins]."""
  frames = FRONT_END.window_frames + int(rng.integers(0, 60))
  spectrum = rng.normal(120.0, 40.0, FRONT_END.num_bins)
  noise = rng.normal(0.0, 25.0, (frames, FRONT_END.num_bins))
  return np.clip(spectrum + noise, 0, 255).astype(np.uint8)
