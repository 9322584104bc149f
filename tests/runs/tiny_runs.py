"""Runs of a tiny network on the tiny catalogue, for tests of training."""

import os

import numpy as np
import tensorflow as tf

from music_embed.data.pipeline import labelled, triplets
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import label_softmax as label_head
from music_embed.models.heads import projection
from music_embed.objectives import label_softmax, triplet
from music_embed.runs import config, train, validation
from music_embed.training import checkpoints, loop, optimizers, task

NETWORK = ("backbone", "projection")


def embedder(with_labels=False):
  return embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.125),
    projection=projection.Projection(dim=8),
    label_head=label_head.LabelSoftmaxHead() if with_labels else None,
  )


def triplet_task(weight=1.0):
  return task.Task(
    triplet.TripletObjective(), triplets.TripletSource(batch_triplets=4), weight
  )


def label_task(weight=1.0):
  return task.Task(
    label_softmax.LabelSoftmaxObjective(),
    labelled.LabelledSource(batch_windows=4),
    weight,
  )


def run(dataset, workdir, **overrides):
  steps = overrides.pop("steps", 6)
  arguments = {
    "workdir": str(workdir),
    "dataset": dataset,
    "embedder": embedder(),
    "tasks": [triplet_task()],
    "optimizers": [optimizers.PartOptimizer(NETWORK, 1e-2)],
    "loop": loop.LoopOptions(steps, summary_steps=1, validation_steps=2),
    "validation": validation.Validation(min_occurrences=1),
    **overrides,
  }
  train.train(**arguments)


def run_gin(gin_file, dataset, workdir, *params, **changes):
  """Trains what a gin file says, with bindings of a test's scale."""
  configured = config.load(
    train.train,
    gin_files=[gin_file],
    gin_params=[f"DATASET = {dataset!r}", *params],
    given=("workdir", "texts", "dry_run"),
  )
  train.train(
    workdir=str(workdir),
    texts=train.RunTexts(configured.config_text, configured.operative_text),
    **configured.arguments | changes,
  )
  return str(workdir)


def variables(workdir):
  path = checkpoints.newest(os.path.join(workdir, "checkpoints"))
  reader = tf.train.load_checkpoint(path)
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
  }


def assert_equal(a, b):
  assert a
  assert a.keys() == b.keys()
  for name, value in a.items():
    np.testing.assert_array_equal(value, b[name], err_msg=name)
