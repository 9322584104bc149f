"""Exports of a tiny network, for tests that embed with one."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tf_keras

from music_embed.core import types
from music_embed.export import exported, saved_model
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import label_softmax, projection


def network(
  front_end: types.LogMelFrontEnd, seed: int = 12, num_labels: int = 0
) -> embedder_lib.Embedder:
  """A SmallCNN of an eighth whose moving moments are not the initial ones."""
  tf_keras.utils.set_random_seed(seed)
  head = None
  if num_labels:
    head = label_softmax.LabelSoftmaxHead(num_labels=num_labels)
  model = embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.125, batch_norm_momentum=0),
    projection=projection.Projection(dim=8),
    label_head=head,
  )
  rng = np.random.default_rng(5)
  windows = rng.normal(size=(4, *front_end.window_shape)).astype(np.float32)
  model(windows, training=True)
  return model


def export(
  path: pathlib.Path,
  front_end: types.LogMelFrontEnd,
  seed: int = 12,
  vocabulary: Sequence[str] = (),
) -> exported.Exported:
  """Exports such a network; without a vocabulary it has no label head."""
  saved_model.save(
    network(front_end, seed, len(vocabulary)),
    str(path),
    front_end=front_end,
    vocabulary=vocabulary,
  )
  return exported.Exported(str(path))
