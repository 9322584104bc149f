"""The contract that every file of models/backbones keeps."""

import importlib
import inspect
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import keys
from music_embed.models import backbones, counting, embedder
from music_embed.models.heads import label_softmax, projection

PAPER = {
  "SmallCNN": (537e3, 22e6),
  "MobileNet": (670e3, 26.1e6),
  "ResNet18": (11.2e6, 686e6),
}
"""Huang et al. 2020, parameters and multiplies."""
WIDTH = {"SmallCNN": 0.2, "MobileNet": 0.3, "ResNet18": 0.07}


def _classes() -> list[type]:
  found = []
  for path in sorted(pathlib.Path(backbones.__path__[0]).glob("[!_]*.py")):
    module = importlib.import_module(f"{backbones.__name__}.{path.stem}")
    found += [
      value
      for value in vars(module).values()
      if inspect.isclass(value)
      and value.__module__ == module.__name__
      and "width_multiplier" in inspect.signature(value).parameters
    ]
  return found


CLASSES = _classes()


def _tiny(backbone: type) -> embedder.Embedder:
  tf_keras.utils.set_random_seed(1)
  return embedder.Embedder(
    backbone=backbone(
      width_multiplier=WIDTH.get(backbone.__name__, 0.1),
      batch_norm_momentum=0.9,
    ),
    projection=projection.Projection(dim=8),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=5),
  )


def _windows(batch: int) -> np.ndarray:
  rng = np.random.default_rng(2)
  return rng.normal(size=(batch, 300, 64)).astype(np.float32)


def test_the_three_networks_of_the_paper_are_found() -> None:
  assert {c.__name__ for c in CLASSES} >= set(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_parameters_and_multiplies_meet_the_paper(name: str) -> None:
  backbone = {c.__name__: c for c in CLASSES}[name]
  model = embedder.Embedder(
    backbone=backbone(), projection=projection.Projection()
  )
  parameters, multiplies = counting.total(counting.count(model))
  assert parameters == pytest.approx(PAPER[name][0], rel=0.015)
  assert multiplies == pytest.approx(PAPER[name][1], rel=0.015)
  # The graph's count is the variables' too, batch norm left out.
  variables = sum(
    int(np.prod(v.shape))
    for v in model.trainable_variables
    if "gamma" not in v.name and "beta" not in v.name
  )
  assert parameters == variables


@pytest.mark.parametrize("backbone", CLASSES, ids=lambda c: c.__name__)
def test_features_are_flat_and_inference_ignores_the_rest_of_the_batch(
  backbone: type,
) -> None:
  model = _tiny(backbone)
  windows = _windows(3)
  features = model.backbone(windows, training=False)
  assert features.shape.rank == 2
  embedding = model.embed(windows, training=False)
  assert embedding.shape == (3, 8)
  np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
  alone = model.embed(windows[1:2], training=False)
  np.testing.assert_allclose(alone[0], embedding[1], atol=1e-5)


@pytest.mark.parametrize("backbone", CLASSES, ids=lambda c: c.__name__)
def test_a_training_step_reaches_every_weight_and_moving_moment(
  backbone: type,
) -> None:
  model = _tiny(backbone)
  windows = _windows(4)
  model(windows[:1], training=False)
  before = [w.numpy() for w in model.non_trainable_variables]
  with tf.GradientTape() as tape:
    outputs = model(windows, training=True)
    loss = tf.reduce_sum(outputs[keys.LABEL_LOGITS][:, 0])
  gradients = tape.gradient(loss, model.trainable_variables)
  assert all(gradient is not None for gradient in gradients)
  after = [w.numpy() for w in model.non_trainable_variables]
  assert len(before) > 0
  assert all((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("backbone", CLASSES, ids=lambda c: c.__name__)
def test_half_precision_ends_in_float32_and_float64_stays(
  backbone: type, floatx
) -> None:
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  outputs = _tiny(backbone)(_windows(2), training=True)
  assert {value.dtype for value in outputs.values()} == {tf.float32}
  floatx("float64")
  outputs = _tiny(backbone)(_windows(2), training=True)
  assert {value.dtype for value in outputs.values()} == {tf.float64}
