import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tf_keras

from music_embed.audio import decode, log_mel, windows
from music_embed.core import errors, types
from music_embed.evaluation import systems
from music_embed.export import saved_model, signatures
from music_embed.models import embedder, inference
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import (
  cf_regression,
  label_softmax,
  projection,
)

_FRONT_END = types.LogMelFrontEnd()
_VOCABULARY = ["jazz", "bebop", "民謡", "rock and roll", "opera"]


def _model(
  *, labels: bool = True, factors: int | None = None
) -> embedder.Embedder:
  tf_keras.utils.set_random_seed(12)
  model = embedder.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.3, batch_norm_momentum=0.0),
    projection=projection.Projection(dim=8),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=5) if labels else None,
    cf_head=(
      cf_regression.CfRegressionHead(num_factors=factors) if factors else None
    ),
  )
  # Moving moments that matter, and embeddings that differ.
  model(_windows(_waveform(9.0, seed=1)), training=True)
  return model


def _waveform(duration_s: float, seed: int = 0) -> np.ndarray:
  """A tone that wanders, so that windows sound differently."""
  rng = np.random.default_rng(seed)
  time = np.arange(int(duration_s * 16_000)) / 16_000
  hz = 200.0 * 2.0 ** (rng.uniform(0, 2) + 1.5 * np.sin(time * 0.9))
  tone = np.sin(2 * np.pi * np.cumsum(hz) / 16_000)
  return (0.3 * tone + 0.01 * rng.normal(size=len(time))).astype(np.float32)


def _windows(waveform: np.ndarray) -> np.ndarray:
  """The windows as ingestion makes them, in numpy."""
  frames = windows.pad_to_window(
    log_mel.log_mel(waveform, _FRONT_END), _FRONT_END
  )
  starts = windows.window_starts(len(frames), 300)
  return np.stack([frames[start : start + 300] for start in starts])


def _save(model: embedder.Embedder, path: pathlib.Path, **kwargs) -> dict:
  arguments = {"vocabulary": _VOCABULARY, "top_k": 3} | kwargs
  return saved_model.save(model, str(path), front_end=_FRONT_END, **arguments)


@pytest.fixture(scope="module")
def model() -> embedder.Embedder:
  return _model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "model"
  _save(model, path)
  return path


@pytest.fixture(scope="module")
def loaded(exported):
  return tf.saved_model.load(str(exported))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("duration_s", [0.5, 2.0, 3.015, 10.0])
def test_the_export_embeds_like_the_networks_own_pipeline(
  model, loaded, duration_s: float
) -> None:
  waveform = _waveform(duration_s)
  outputs = loaded.signatures["embed"](waveform=tf.constant(waveform))
  expected = model.embed(_windows(waveform), training=False).numpy()
  np.testing.assert_allclose(outputs["window_embeddings"], expected, atol=2e-4)
  np.testing.assert_allclose(
    outputs["recording_embedding"], expected.mean(0), atol=2e-4
  )


def test_a_front_end_of_96_bins_is_exported_with_its_network(
  tmp_path: pathlib.Path,
) -> None:
  front_end = types.LogMelFrontEnd(num_bins=96, fft_length=1024)
  waveform = _waveform(3.015)
  window = log_mel.log_mel(waveform, front_end)[np.newaxis]
  model = embedder.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.3),
    projection=projection.Projection(dim=8),
  )
  expected = model.embed(window, training=False).numpy()
  path = str(tmp_path / "export")
  card = saved_model.save(model, path, front_end=front_end, vocabulary=[])
  assert card["front_end"]["num_bins"] == 96
  embed = tf.saved_model.load(path).signatures["embed"]
  outputs = embed(waveform=tf.constant(waveform))
  np.testing.assert_allclose(outputs["window_embeddings"], expected, atol=2e-4)


def test_one_waveform_and_a_batch_of_any_rank_are_accepted(loaded) -> None:
  waveform = _waveform(7.0)
  embed = loaded.signatures["embed"]
  single = embed(waveform=tf.constant(waveform))
  assert single["window_embeddings"].shape == (3, 8)
  assert single["recording_embedding"].shape == (8,)
  # 7 s are 698 frames: windows at 0, 300 and, right-aligned, 398.
  np.testing.assert_allclose(single["window_times_s"], [0.0, 3.0, 3.98])
  batch = embed(waveform=tf.constant(np.stack([waveform] * 2)[:, None]))
  assert batch["window_embeddings"].shape == (2, 1, 3, 8)
  assert batch["recording_embedding"].shape == (2, 1, 8)
  assert batch["window_times_s"].shape == (3,)
  np.testing.assert_allclose(
    batch["window_embeddings"][1, 0], single["window_embeddings"], atol=1e-5
  )


def test_a_recording_embeds_equally_alone_in_a_batch_and_padded(
  loaded,
) -> None:
  recordings = [
    _waveform(seconds, seed)
    for seed, seconds in enumerate((0.02, 1.0, 3.015, 3.02, 8.3, 100.0, 6.03))
  ]
  longest = max(map(len, recordings)) + 12_345
  rng = np.random.default_rng(13)
  # What lies past a recording's end must not matter: noise, even NaN.
  padded = rng.normal(size=(len(recordings), longest)).astype(np.float32)
  padded[::2, -5_000:] = np.nan
  for row, recording in enumerate(recordings):
    padded[row, : len(recording)] = recording
  num_samples = tf.constant([len(r) for r in recordings], tf.int32)
  together = loaded.signatures["embed_padded"](
    waveform=tf.constant(padded), num_samples=num_samples
  )
  labels = loaded.signatures["label_padded"](
    waveform=tf.constant(padded), num_samples=num_samples
  )
  for row, recording in enumerate(recordings):
    waveform = tf.constant(recording)
    alone = loaded.signatures["embed"](waveform=waveform)
    count = int(together["num_windows"][row])
    assert count == len(alone["window_embeddings"])
    cosine = _cosine(
      alone["recording_embedding"], together["recording_embedding"][row]
    )
    assert cosine >= 0.99999
    for a, b in zip(
      alone["window_embeddings"],
      together["window_embeddings"][row][:count],
      strict=True,
    ):
      assert _cosine(a, b) >= 0.99999
    assert not together["window_embeddings"][row][count:].numpy().any()
    np.testing.assert_allclose(
      together["window_times_s"][row][:count], alone["window_times_s"]
    )
    np.testing.assert_allclose(
      labels["scores"][row],
      loaded.signatures["label"](waveform=waveform)["scores"],
      atol=1e-5,
    )


def test_labels_are_those_of_the_highest_mean_posterior(model, loaded) -> None:
  waveform = _waveform(10.0)
  outputs = loaded.signatures["label"](waveform=tf.constant(waveform))
  logits = model(_windows(waveform), training=False)["label_logits"]
  posterior = tf.nn.softmax(logits).numpy().mean(0)
  order = np.argsort(-posterior)[:3]
  texts = [text.decode() for text in outputs["labels"].numpy()]
  assert texts == [_VOCABULARY[index] for index in order]
  np.testing.assert_allclose(outputs["scores"], posterior[order], atol=1e-4)


def test_every_read_out_is_that_of_evaluation(tmp_path: pathlib.Path) -> None:
  model = _model(factors=6)
  rng = np.random.default_rng(3)
  model.cf_head.bias.assign(rng.normal(size=6))
  train = rng.normal(size=(20, 8)).astype(np.float32)
  train[:, 3] = 0.5
  score = systems.ZScore.of(train)
  card = _save(
    model,
    tmp_path / "model",
    read_outs=signatures.ReadOuts((score.mean, score.scale), predicted_cf=True),
  )
  assert card["read_outs"] == {
    "raw": "recording_embedding",
    "z_scored": "z_scored_embedding",
    "predicted_cf": "cf_vector",
  }
  readme = (tmp_path / "model" / "README.md").read_text()
  assert "`cf_vector`" in readme
  assert "`z_scored_embedding`" in readme
  loaded = tf.saved_model.load(str(tmp_path / "model"))
  recordings = [_waveform(seconds, 7) for seconds in (10.0, 4.0)]
  padded = np.zeros((2, 160_000), np.float32)
  for row, waveform in enumerate(recordings):
    padded[row, : len(waveform)] = waveform
  together = loaded.signatures["embed_padded"](
    waveform=tf.constant(padded),
    num_samples=tf.constant([len(w) for w in recordings], tf.int32),
  )
  run = inference.RecordingEmbedder(model, batch_windows=4)
  expected = run([_windows(waveform) for waveform in recordings])
  for row, waveform in enumerate(recordings):
    alone = loaded.signatures["embed"](waveform=tf.constant(waveform))
    for found in (alone, {name: x[row] for name, x in together.items()}):
      np.testing.assert_allclose(
        found["cf_vector"], expected.cf_vectors[row], atol=1e-3
      )
      np.testing.assert_allclose(
        found["z_scored_embedding"],
        score(expected.embeddings)[row],
        atol=1e-3,
      )
  for name in ("embed", "embed_padded"):
    described = card["signatures"][name]["outputs"]
    assert set(described) == set(loaded.signatures[name].structured_outputs)


def test_a_cf_head_is_exported_unless_other_read_outs_are_named(
  tmp_path: pathlib.Path,
) -> None:
  model = _model(labels=False, factors=2)
  card = _save(model, tmp_path / "with")
  assert card["read_outs"]["predicted_cf"] == "cf_vector"
  card = _save(model, tmp_path / "without", read_outs=signatures.ReadOuts())
  assert card["read_outs"] == {"raw": "recording_embedding"}


def test_z_scores_are_part_of_the_fingerprint(model) -> None:
  score = systems.ZScore.of(np.eye(8))
  found = {
    saved_model.fingerprint(model, _FRONT_END, _VOCABULARY, statistics)
    for statistics in (None, (score.mean, score.scale))
  }
  assert len(found) == 2


def test_a_network_without_a_cf_head_predicts_no_vector(
  model, tmp_path: pathlib.Path
) -> None:
  with pytest.raises(errors.ConfigError, match="has no CF head"):
    _save(
      model,
      tmp_path / "model",
      read_outs=signatures.ReadOuts(predicted_cf=True),
    )
  assert os.listdir(tmp_path) == []


def test_silence_and_nothing_embed_to_the_same_finite_vector(loaded) -> None:
  embed = loaded.signatures["embed"]
  nothing = embed(waveform=tf.zeros([0]))["recording_embedding"]
  silence = embed(waveform=tf.zeros([48_240]))["recording_embedding"]
  assert np.isfinite(nothing).all()
  np.testing.assert_allclose(nothing, silence, atol=1e-5)


def test_a_scalar_is_refused_with_words(loaded) -> None:
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=r"waveform must be \[samples\]"
  ):
    loaded.signatures["embed"](waveform=tf.constant(0.0))


_LOADER = """
import sys

class Blocker:
  def find_spec(self, name, *args):
    if name.split(".")[0] == "music_embed":
      raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
try:
  import music_embed
except ImportError:
  pass
else:
  sys.exit("music_embed could be imported")
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
waveform = tf.constant(np.load(sys.argv[2]))
embedding = model.signatures["embed"](waveform=waveform)
labels = model.signatures["label"](waveform=waveform)
np.save(sys.argv[3], embedding["recording_embedding"].numpy())
sys.stdout.buffer.write(labels["labels"].numpy()[0])
"""


def test_a_process_without_our_code_embeds_an_mp3(
  exported, loaded, tmp_path: pathlib.Path
) -> None:
  mp3 = tmp_path / "song.mp3"
  soundfile.write(mp3, np.repeat(_waveform(8.0), 2)[:, None], 32_000)
  waveform = decode.decode(str(mp3)).waveform
  np.save(tmp_path / "samples.npy", waveform)
  (tmp_path / "empty").mkdir()
  result = subprocess.run(
    [
      sys.executable,
      "-I",
      "-c",
      _LOADER,
      str(exported),
      str(tmp_path / "samples.npy"),
      str(tmp_path / "embedding.npy"),
    ],
    cwd=tmp_path / "empty",
    capture_output=True,
    encoding="utf-8",
    check=False,
  )
  assert result.returncode == 0, result.stderr
  here = loaded.signatures["embed"](waveform=tf.constant(waveform))
  there = np.load(tmp_path / "embedding.npy")
  assert _cosine(here["recording_embedding"], there) >= 0.99999
  assert result.stdout in _VOCABULARY


def test_without_a_label_head_there_are_no_label_signatures(
  tmp_path: pathlib.Path,
) -> None:
  card = _save(_model(labels=False), tmp_path / "model")
  loaded = tf.saved_model.load(str(tmp_path / "model"))
  names = {"embed", "embed_padded", "embed_log_mel"}
  assert set(loaded.signatures) == set(card["signatures"]) == names
  assert not (tmp_path / "model" / "labels.tsv").exists()
  assert (card["num_labels"], card["top_k"]) == (0, 0)


def test_the_card_describes_the_signatures_as_they_are(
  exported, loaded
) -> None:
  card = json.loads((exported / "model.json").read_text())
  readme = (exported / "README.md").read_text()
  assert card["front_end"]["sample_rate_hz"] == 16_000
  assert set(card["signatures"]) == set(loaded.signatures)
  for name, described in card["signatures"].items():
    function = loaded.signatures[name]
    assert f"## {name}" in readme
    inputs = function.structured_input_signature[1]
    assert set(described["inputs"]) == set(inputs)
    assert set(described["outputs"]) == set(function.structured_outputs)
    for key, spec in function.structured_outputs.items():
      assert described["outputs"][key].startswith(spec.dtype.name)


def test_the_same_export_again_is_left_alone_and_another_refused(
  model, exported
) -> None:
  before = {p: p.stat().st_mtime_ns for p in exported.rglob("*")}
  _save(model, exported)
  assert {p: p.stat().st_mtime_ns for p in exported.rglob("*")} == before
  with pytest.raises(errors.ConfigError, match="already holds something else"):
    _save(model, exported, top_k=2)
  assert not exported.with_name("model.tmp").exists()


def test_an_earlier_export_is_replaced_only_when_asked(
  model, tmp_path: pathlib.Path
) -> None:
  output = tmp_path / "export"
  output.mkdir()  # Empty: nothing to lose.
  _save(model, output, top_k=1)
  card = _save(model, output, top_k=2, overwrite=True)
  assert json.loads((output / "model.json").read_text()) == card
  assert card["top_k"] == 2
  foreign = tmp_path / "foreign"
  foreign.mkdir()
  (foreign / "thesis.txt").write_text("mine")
  with pytest.raises(errors.ConfigError, match="already holds something else"):
    _save(model, foreign, overwrite=True)
  assert (foreign / "thesis.txt").read_text() == "mine"


def test_the_fingerprint_follows_weights_front_end_and_vocabulary() -> None:
  model = _model()

  def fingerprint(front_end=_FRONT_END, vocabulary=_VOCABULARY) -> str:
    return saved_model.fingerprint(model, front_end, vocabulary)

  first = fingerprint()
  assert fingerprint() == first
  changed = {
    fingerprint(front_end=types.LogMelFrontEnd(min_hz=60.0)),
    fingerprint(vocabulary=[*_VOCABULARY[:4], "polka"]),
  }
  model.projection.dense.bias.assign_add(tf.fill([8], 1e-6))
  changed.add(fingerprint())
  assert len(changed | {first}) == 4


def test_wrong_arguments_are_named(model, tmp_path: pathlib.Path) -> None:
  with pytest.raises(errors.DataError, match="5 labels, the vocabulary 2"):
    _save(model, tmp_path / "model", vocabulary=["a", "b"])
  with pytest.raises(errors.ConfigError, match="top_k=0"):
    _save(model, tmp_path / "model", top_k=0)
  assert os.listdir(tmp_path) == []
