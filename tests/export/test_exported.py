"""Tests of music_embed.export.exported: exports that are trained on."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.audio import log_mel
from music_embed.core import errors, types
from music_embed.export import exported, saved_model
from music_embed.export import network as network_lib
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import mobilenet, resnet, small_cnn
from music_embed.models.heads import label_softmax, projection

_FRONT_END = types.LogMelFrontEnd()
_BACKBONES = [
  small_cnn.SmallCNN(width_multiplier=0.125, batch_norm_momentum=0.5),
  mobilenet.MobileNet(width_multiplier=0.3, batch_norm_momentum=0.5),
  resnet.ResNet18(width_multiplier=0.05, batch_norm_momentum=0.5),
]


def _windows(count: int = 3) -> np.ndarray:
  rng = np.random.default_rng(5)
  return rng.normal(size=(count, 300, 64)).astype(np.float32)


def _model(backbone: tf_keras.layers.Layer) -> embedder_lib.Embedder:
  model = embedder_lib.Embedder(
    backbone=backbone,
    projection=projection.Projection(dim=8),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=2),
  )
  model(_windows(), training=True)  # Moving moments that matter.
  return model


def _save(model: embedder_lib.Embedder, path: pathlib.Path) -> str:
  saved_model.save(
    model, str(path), front_end=_FRONT_END, vocabulary=["bebop", "polka"]
  )
  return str(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  path = tmp_path_factory.mktemp("small") / "export"
  model = _model(
    small_cnn.SmallCNN(width_multiplier=0.125, batch_norm_momentum=0.5)
  )
  return model, _save(model, path)


@pytest.mark.parametrize("backbone", _BACKBONES, ids=lambda b: b.name)
def test_the_network_of_an_export_is_the_one_that_was_exported(
  backbone, tmp_path: pathlib.Path
) -> None:
  model = _model(backbone)
  found = exported.Exported(_save(model, tmp_path / "export"))
  again = found.embedder()
  assert type(again.backbone) is type(backbone)
  for name in ("backbone", "projection"):
    pairs = zip(
      model.parts[name].variables, again.parts[name].variables, strict=True
    )
    for ours, theirs in pairs:
      np.testing.assert_array_equal(ours, theirs)
  np.testing.assert_array_equal(
    model.embed(_windows(), training=False),
    again.embed(_windows(), training=False),
  )
  # It trains, with the momentum that it was trained with.
  again.embed(_windows(), training=True)
  model.embed(_windows(), training=True)
  for ours, theirs in zip(
    model.backbone.variables, again.backbone.variables, strict=True
  ):
    np.testing.assert_array_equal(ours, theirs)


def test_an_export_says_what_it_is(small) -> None:
  _, path = small
  found = exported.Exported(path)
  assert found.front_end == _FRONT_END
  assert found.dim == 8
  assert found.network_name == "SmallCNN"
  card = json.loads((pathlib.Path(path) / "model.json").read_text())
  assert found.fingerprint == card["fingerprint"]
  assert card["network"]["parts"]["backbone"]["config"] == {
    "width_multiplier": 0.125,
    "batch_norm_momentum": 0.5,
  }
  # Defaults are written out: another version may have others.
  assert card["network"]["parts"]["projection"]["config"] == {
    "dim": 8,
    "normalize": True,
  }


def test_fresh_weights_repeat_for_a_seed_and_are_not_the_trained_ones(
  small,
) -> None:
  _, path = small
  found = exported.Exported(path)

  def embedding(weights: str, seed: int = 0) -> np.ndarray:
    return found.embedder(weights, seed).embed(_windows(), training=False)

  np.testing.assert_array_equal(embedding("fresh", 3), embedding("fresh", 3))
  others = [embedding("fresh", 4), embedding("trained")]
  for other in others:
    assert np.abs(embedding("fresh", 3) - other).max() > 1e-3
  with pytest.raises(errors.ConfigError, match="weights='frozen'"):
    found.embedder("frozen")


def test_fresh_weights_are_those_that_a_run_begins_with(small) -> None:
  _, path = small
  fresh = exported.Exported(path).embedder("fresh", 7)
  begun = embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.125),
    projection=projection.Projection(dim=8),
  )
  tf_keras.utils.set_random_seed(7)  # As `restore.build` does.
  begun(tf.zeros([2, 300, 64]), training=False)
  np.testing.assert_array_equal(
    fresh.embed(_windows(), training=False),
    begun.embed(_windows(), training=False),
  )


def test_a_network_is_made_within_a_strategy(small, mirrored) -> None:
  model, path = small
  with mirrored(2).scope():
    again = exported.Exported(path).embedder()
  for ours, theirs in zip(
    model.backbone.variables, again.backbone.variables, strict=True
  ):
    np.testing.assert_array_equal(ours, theirs)
  assert again.projection.dense.kernel.values[1].device.endswith("CPU:1")


def test_an_older_export_embeds_and_says_why_it_cannot_be_trained(
  small, tmp_path: pathlib.Path
) -> None:
  model, path = small
  older = tmp_path / "older"
  shutil.copytree(path, older)
  card = json.loads((older / "model.json").read_text())
  del card["network"]
  (older / "model.json").write_text(json.dumps(card))
  found = exported.Exported(str(older))
  assert found.network_name == ""
  waveform = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
  outputs = found.load().signatures["embed"](waveform=tf.constant(waveform))
  window = log_mel.log_mel(waveform, _FRONT_END)[np.newaxis, :300]
  np.testing.assert_allclose(
    outputs["window_embeddings"][0],
    model.embed(window, training=False)[0],
    atol=2e-4,
  )
  for weights in ("trained", "fresh"):
    with pytest.raises(errors.ConfigError, match="older.*export it again"):
      found.embedder(weights)


class OddBackbone(tf_keras.layers.Layer):
  """Takes an argument that no JSON holds."""

  def __init__(self, function) -> None:
    super().__init__()
    self._function = function

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    return self._function(log_mel)


def test_a_backbone_that_cannot_be_described_is_exported_all_the_same(
  tmp_path: pathlib.Path,
) -> None:
  backbone = OddBackbone(lambda log_mel: tf.reduce_mean(log_mel, axis=1))
  found = exported.Exported(_save(_model(backbone), tmp_path / "export"))
  assert found.card["network"] is None
  with pytest.raises(errors.ConfigError, match="get_config"):
    found.embedder()


@pytest.mark.parametrize(
  ("path", "message"),
  [
    ("os.path.nothing", "cannot be imported"),
    ("no_such_module.Backbone", "PYTHONPATH"),
    ("subprocess.Popen", "no Keras layer"),
  ],
)
def test_a_class_that_is_no_layer_is_refused(
  small, tmp_path: pathlib.Path, path: str, message: str
) -> None:
  shutil.copytree(small[1], tmp_path / "export")
  file = tmp_path / "export" / "model.json"
  card = json.loads(file.read_text())
  card["network"]["parts"]["backbone"]["class"] = path
  file.write_text(json.dumps(card))
  with pytest.raises(errors.ConfigError, match=message):
    exported.Exported(str(tmp_path / "export")).embedder()


def test_weights_of_another_export_are_noticed(
  small, tmp_path: pathlib.Path
) -> None:
  shutil.copytree(small[1], tmp_path / "export")
  model, _ = small
  description = network_lib.describe(model, _FRONT_END)
  model.projection.dense.bias.assign_add(tf.ones([8]))
  other = _save(model, tmp_path / "other")
  model.projection.dense.bias.assign_sub(tf.ones([8]))
  assert description is not None
  shutil.rmtree(tmp_path / "export" / "variables")
  shutil.copytree(
    pathlib.Path(other) / "variables", tmp_path / "export" / "variables"
  )
  with pytest.raises(errors.DataError, match="not the weights"):
    exported.Exported(str(tmp_path / "export")).embedder()


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_weights_are_one_line(
  small, tmp_path: pathlib.Path, damage: str
) -> None:
  shutil.copytree(small[1], tmp_path / "export")
  (data,) = (tmp_path / "export" / "variables").glob("*.data-*")
  if damage == "missing":
    data.unlink()
  else:
    data.write_bytes(data.read_bytes()[:100])
  found = exported.Exported(str(tmp_path / "export"))
  for use in (found.embedder, found.load):
    with pytest.raises(errors.DataError, match="export it again") as caught:
      use()
    assert "\n" not in str(caught.value)


def test_a_graph_that_is_no_graph_is_one_line(
  small, tmp_path: pathlib.Path
) -> None:
  shutil.copytree(small[1], tmp_path / "export")
  (tmp_path / "export" / "saved_model.pb").write_bytes(b"\x00nonsense")
  with pytest.raises(errors.DataError, match="damaged"):
    exported.Exported(str(tmp_path / "export")).load()


def test_a_training_run_is_told_from_an_export(tmp_path: pathlib.Path) -> None:
  run = tmp_path / "run"
  run.mkdir()
  (run / "config.gin").write_text("")
  with pytest.raises(errors.ConfigError, match=r"launch/export.py --model="):
    exported.Exported(str(run))


def test_other_directories_are_refused_by_name(tmp_path: pathlib.Path) -> None:
  with pytest.raises(errors.ConfigError, match="nowhere: no such"):
    exported.Exported(str(tmp_path / "nowhere"))
  with pytest.raises(errors.ConfigError, match="model.json is missing"):
    exported.Exported(str(tmp_path))
  card = tmp_path / "model.json"
  card.write_text('{"format": "another/3"}')
  with pytest.raises(errors.ConfigError, match="not a model that this version"):
    exported.Exported(str(tmp_path))
  card.write_text('{"format": "music_embed.saved_model/1"}')
  with pytest.raises(errors.ConfigError, match="export it again"):
    exported.Exported(str(tmp_path))
  card.write_text('{"format": "music_embed.saved_model/2"}')
  with pytest.raises(errors.DataError, match="front_end"):
    exported.Exported(str(tmp_path))
  card.write_text("{")
  with pytest.raises(errors.DataError, match="not JSON"):
    exported.Exported(str(tmp_path))
