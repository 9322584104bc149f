"""TFLite and ONNX beside the SavedModel."""

import hashlib
import importlib.util
import json
import pathlib

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tf_keras
import tiny_exports

from music_embed.audio import log_mel
from music_embed.core import errors, types
from music_embed.export import (
  check_sounds,
  checks,
  convert,
  exported,
  run_formats,
  saved_model,
  signatures,
)
from music_embed.models import embedder
from music_embed.models.backbones import mobilenet, resnet, small_cnn
from music_embed.models.heads import cf_regression, label_softmax, projection

_FRONT_END = types.LogMelFrontEnd()
_VOCABULARY = ["jazz", "bebop", "opera"]
_ALL = ("tflite", "tflite_int8", "onnx")
_SECONDS = (0.0, 0.02, 1.0, 3.015, 3.02, 10.0)


def _waveform(duration_s: float, seed: int = 3) -> np.ndarray:
  return check_sounds.synthesised(seed, duration_s, 16_000)


def _run(directory: str, name: str) -> run_formats.Run:
  content = pathlib.Path(directory, convert.FILES[name]).read_bytes()
  if name == "onnx":
    pytest.importorskip("onnxruntime")
    return run_formats.onnx(content)
  return run_formats.tflite(content)


def _model(backbone: tf_keras.layers.Layer) -> embedder.Embedder:
  tf_keras.utils.set_random_seed(5)
  model = embedder.Embedder(
    backbone=backbone,
    projection=projection.Projection(dim=8),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=3),
    cf_head=cf_regression.CfRegressionHead(num_factors=4),
  )
  rng = np.random.default_rng(5)
  model(rng.normal(size=(4, 300, 64)).astype(np.float32), training=True)
  return model


@pytest.fixture(scope="module")
def model() -> embedder.Embedder:
  return _model(
    small_cnn.SmallCNN(width_multiplier=0.125, batch_norm_momentum=0)
  )


@pytest.fixture(scope="module")
def made(model, tmp_path_factory) -> exported.Exported:
  """With all formats and read-outs, as far as converters are installed."""
  path = tmp_path_factory.mktemp("formats") / "export"
  has_onnx = importlib.util.find_spec("tf2onnx") is not None
  saved_model.save(
    model,
    str(path),
    front_end=_FRONT_END,
    vocabulary=_VOCABULARY,
    read_outs=signatures.ReadOuts(
      (np.linspace(-0.1, 0.1, 8), np.linspace(1, 3, 8)), predicted_cf=True
    ),
    formats=_ALL if has_onnx else _ALL[:2],
  )
  return exported.Exported(str(path))


@pytest.fixture(scope="module")
def reference(made) -> run_formats.Run:
  return run_formats.saved_model(made.load(), len(_VOCABULARY))


@pytest.mark.parametrize("duration_s", _SECONDS)
@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_recording_of_any_length_has_the_saved_models_vectors(
  made, reference, name: str, duration_s: float
) -> None:
  waveform = _waveform(duration_s)
  found, expected = _run(made.directory, name)(waveform), reference(waveform)
  assert set(found) == set(expected)
  frames = _FRONT_END.num_rows(len(waveform))
  assert len(found["window_embeddings"]) == max(1, -(-frames // 300))
  for output, values in expected.items():
    np.testing.assert_allclose(found[output], values, atol=2e-4, err_msg=output)


def test_int8_keeps_the_front_end_exact(made, model) -> None:
  # Loud bass under a quiet treble: in eight bits the treble would vanish.
  time = np.arange(48_240) / 16_000
  bass = 0.9 * np.sin(2 * np.pi * 150 * time)
  treble = 1e-3 * np.sin(2 * np.pi * 5_000 * time)
  waveform = (bass + treble).astype(np.float32)
  run = _run(made.directory, "tflite_int8")
  exact = _run(made.directory, "tflite")
  found, expected = (r(waveform)["recording_embedding"] for r in (run, exact))
  without = run(bass.astype(np.float32))["recording_embedding"]
  error = np.linalg.norm(found - expected)
  assert 0 < error < 0.02
  assert np.linalg.norm(found - without) > 10 * error


def test_int8_is_the_smaller_file(made) -> None:
  sizes = made.card["formats"]
  assert sizes["tflite_int8"]["bytes"] < sizes["tflite"]["bytes"]


def test_files_hold_builtin_operations_only(made) -> None:
  content = pathlib.Path(made.directory, "model.tflite").read_bytes()
  assert b"Flex" not in content
  onnx = pytest.importorskip("onnx")
  graph = onnx.load(pathlib.Path(made.directory, "model.onnx"))
  onnx.checker.check_model(graph)
  used = {node.domain for node in _nodes(graph.graph)}
  assert used <= {"", "ai.onnx"}


def _nodes(graph):
  for node in graph.node:
    yield node
    for attribute in node.attribute:
      if attribute.name == "body":
        yield from _nodes(attribute.g)


def test_weights_of_an_onnx_file_are_constants_within_its_loop(made) -> None:
  onnx = pytest.importorskip("onnx")
  graph = onnx.load(pathlib.Path(made.directory, "model.onnx")).graph
  (loop,) = (node for node in graph.node if node.op_type == "Loop")
  # Position and scores are handed on; samples, ends and the mel matrix are no
  # constants. The network has four times as many weights.
  assert len(loop.input) - 2 < 10
  (body,) = (a.g for a in loop.attribute if a.name == "body")
  outer = {value.name for value in graph.initializer}
  within = {name for node in body.node for name in node.input}
  assert len(outer & within) > 15


@pytest.mark.parametrize(
  "backbone",
  [
    mobilenet.MobileNet(width_multiplier=0.3, batch_norm_momentum=0),
    resnet.ResNet18(width_multiplier=0.05, batch_norm_momentum=0),
  ],
  ids=lambda backbone: backbone.name,
)
def test_every_backbone_is_converted_to_tflite(
  backbone,
) -> None:
  model = _model(backbone)
  ((name, content),) = convert.convert(
    ["tflite"], model, front_end=_FRONT_END, read_outs=signatures.ReadOuts()
  )
  waveform = _waveform(6.03)  # 601 frames: windows at 0, 300 and 301.
  found = run_formats.tflite(content)(waveform)
  frames = log_mel.log_mel(waveform, _FRONT_END)
  windows = np.stack([frames[start : start + 300] for start in (0, 300, 301)])
  expected = model.embed(windows, training=False).numpy()
  np.testing.assert_allclose(found["window_embeddings"], expected, atol=2e-4)
  np.testing.assert_allclose(found["window_times_s"], [0.0, 3.0, 3.01])


def test_the_card_says_how_near_each_file_comes(made, reference) -> None:
  card = json.loads(pathlib.Path(made.directory, "model.json").read_text())
  sounds = check_sounds.of((), _FRONT_END)
  expected = [reference(w) for w in sounds.waveforms]
  windows = np.concatenate([e["window_embeddings"] for e in expected])
  alike = windows @ windows.T
  assert card["checked_on"] == {
    "kind": "synthesised sound",
    "recordings": 4,
    "seconds": 22.3,
    "windows": len(windows),
    "cosine_of_other_windows": pytest.approx(
      alike[~np.eye(len(windows), dtype=bool)].mean(), abs=1e-5
    ),
  }
  for name, values in card["formats"].items():
    run = _run(made.directory, name)
    content = pathlib.Path(made.directory, values["file"]).read_bytes()
    assert values["sha256"] == hashlib.sha256(content).hexdigest()
    assert values["bytes"] == len(content)
    cosines = [
      np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
      for waveform, outputs in zip(sounds.waveforms, expected, strict=True)
      for a, b in zip(
        run(waveform)["window_embeddings"],
        outputs["window_embeddings"],
        strict=True,
      )
    ]
    said = values["compared"]["window_embeddings"]
    assert said["min_cosine"] == pytest.approx(min(cosines), abs=1e-5)
    assert said["mean_cosine"] == pytest.approx(np.mean(cosines), abs=1e-5)
  readme = pathlib.Path(made.directory, "README.md").read_text()
  assert "synthesised sound (4 recordings, 22.3 s" in readme
  assert "`model.int8.tflite`" in readme


def test_formats_that_are_there_are_not_made_again(made, model) -> None:
  folder = pathlib.Path(made.directory)
  before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
  read_outs = signatures.ReadOuts(
    (np.linspace(-0.1, 0.1, 8), np.linspace(1, 3, 8)), predicted_cf=True
  )
  arguments = {
    "front_end": _FRONT_END,
    "vocabulary": _VOCABULARY,
    "read_outs": read_outs,
  }
  formats = tuple(made.card["formats"])
  card = saved_model.save(model, str(folder), formats=formats, **arguments)
  assert card == made.card
  assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
  with pytest.raises(errors.ConfigError, match="already holds something else"):
    saved_model.save(model, str(folder), formats=formats[:1], **arguments)


def test_a_file_that_says_something_else_is_refused(made, reference) -> None:
  sounds = check_sounds.of((), _FRONT_END)
  content = pathlib.Path(made.directory, "model.tflite").read_bytes()

  def louder(waveform: np.ndarray) -> run_formats.Outputs:
    return reference(np.clip(3 * waveform, -0.05, 0.05))

  checks.compare(checks.Reference(reference, sounds), "tflite", content)
  other = checks.Reference(louder, sounds)
  with pytest.raises(errors.DataError, match=r"model.tflite: .* cosine of 0"):
    checks.compare(other, "tflite", content)
  # Of int8 it is only stated.
  compared = checks.compare(other, "tflite_int8", content)
  assert compared["recording_embedding"]["min_cosine"] < 0.999
  with pytest.raises(errors.DataError, match="model.tflite: cannot be run"):
    checks.compare(other, "tflite", b"nonsense")


class Unconvertible(tf_keras.layers.Layer):
  """What no other runtime has."""

  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    mean = tf.reduce_mean(log_mel, axis=1)
    return mean + tf.cast(tf.strings.length(tf.as_string(mean)), tf.float32)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_network_that_cannot_be_converted_is_named_in_one_line(
  name: str,
) -> None:
  if name == "onnx":
    pytest.importorskip("tf2onnx")
  model = _model(Unconvertible())
  with pytest.raises(errors.ConfigError, match=f"--formats={name}") as caught:
    list(
      convert.convert(
        [name], model, front_end=_FRONT_END, read_outs=signatures.ReadOuts()
      )
    )
  assert "\n" not in str(caught.value)


def test_an_unknown_format_is_refused() -> None:
  with pytest.raises(errors.ConfigError, match="coreml: no such format; known"):
    convert.check(["saved_model", "coreml"])


def test_a_converter_that_is_missing_is_named(monkeypatch) -> None:
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  convert.check(["saved_model", "tflite"])
  with pytest.raises(errors.ConfigError, match=r"music_embed\[onnx\]"):
    convert.check(["onnx"])


def test_sounds_are_files_and_the_first_of_a_folder(
  tmp_path: pathlib.Path,
) -> None:
  folder = tmp_path / "folder"
  (folder / "b").mkdir(parents=True)
  for place in range(10):
    path = folder / "b" / f"{place:02}.wav"
    soundfile.write(path, _waveform(0.1 * (place + 1)), 16_000)
  (folder / "a.mp3").write_bytes(b"no audio")
  (folder / "notes.txt").write_text("none")
  soundfile.write(tmp_path / "one.flac", _waveform(2.0)[:, None], 16_000)
  sounds = check_sounds.of(
    [str(tmp_path / "one.flac"), str(folder)], _FRONT_END
  )
  lengths = [len(waveform) for waveform in sounds.waveforms]
  assert lengths == [32_000, *(1_600 * n for n in range(1, 9))]
  assert sounds.to_json() == {
    "kind": "audio files",
    "recordings": 9,
    "seconds": 5.6,
  }


@pytest.mark.parametrize(
  ("name", "error", "message"),
  [
    ("nowhere.mp3", errors.ConfigError, "nowhere.mp3: no such file"),
    ("empty", errors.ConfigError, "empty: no audio file in it"),
    ("broken.mp3", errors.AudioError, "broken.mp3"),
  ],
)
def test_sounds_that_are_none_are_named(
  tmp_path: pathlib.Path, name: str, error: type[Exception], message: str
) -> None:
  (tmp_path / "empty").mkdir()
  (tmp_path / "broken.mp3").write_bytes(b"no audio at all")
  with pytest.raises(error, match=message):
    check_sounds.of([str(tmp_path / name)], _FRONT_END)


def test_synthesised_sound_repeats_and_fits(tmp_path: pathlib.Path) -> None:
  first, again = _waveform(1.5), _waveform(1.5)
  np.testing.assert_array_equal(first, again)
  assert first.shape == (24_000,)
  assert 0.1 < np.abs(first).max() <= 1.0


def test_wrong_outputs_are_noticed() -> None:
  sounds = check_sounds.of((), _FRONT_END)
  vectors = {
    "window_embeddings": np.eye(3, dtype=np.float32),
    "recording_embedding": np.ones(3, np.float32),
  }
  reference = checks.Reference(lambda waveform: vectors, sounds)
  opposite = {name: -value for name, value in vectors.items()}
  compared = reference.compare(lambda waveform: opposite)
  assert compared["recording_embedding"]["min_cosine"] == -1.0
  for wrong, message in (
    ({}, "window_embeddings is missing"),
    (vectors | {"recording_embedding": np.ones(4)}, "of another shape"),
    (vectors | {"recording_embedding": np.full(3, np.nan)}, "not finite"),
  ):
    with pytest.raises(errors.DataError, match=message):
      reference.compare(lambda waveform, wrong=wrong: wrong)


def test_an_export_of_an_older_format_is_replaced_when_asked(
  tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / "export"
  tiny_exports.export(path, _FRONT_END)
  card = json.loads((path / "model.json").read_text())
  card["format"] = "music_embed.saved_model/1"
  (path / "model.json").write_text(json.dumps(card))
  model = tiny_exports.network(_FRONT_END)
  arguments = {"front_end": _FRONT_END, "vocabulary": []}
  with pytest.raises(errors.ConfigError, match="already holds something else"):
    saved_model.save(model, str(path), **arguments)
  saved_model.save(model, str(path), overwrite=True, **arguments)
  assert exported.Exported(str(path)).dim == 8
