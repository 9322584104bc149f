import concurrent.futures
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tiny_exports

import music_embed
from music_embed.audio import decode
from music_embed.core import errors, types
from music_embed.data.records import label_names
from music_embed.export import saved_model
from music_embed.serving import model as model_lib

_FRONT_END = types.LogMelFrontEnd()
_LABELS = ["bebop", "jazz", "hard bop"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> model_lib.Model:
  path = tmp_path_factory.mktemp("export") / "labelled"
  tiny_exports.export(path, _FRONT_END, vocabulary=_LABELS)
  return model_lib.Model(path)


def _log_mels(num_windows: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  shape = (num_windows, *_FRONT_END.window_shape)
  return rng.normal(-1, 1.5, shape).astype(np.float32)


@pytest.mark.parametrize("num_windows", [0, 1, 64, 150])
def test_windows_are_embedded_alike_whatever_their_number(model, num_windows):
  windows = _log_mels(150)[:num_windows]
  vectors = model.embed_log_mel(windows)
  assert vectors.shape == (num_windows, 8)
  assert vectors.dtype == np.float32
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
  for window, vector in zip(windows[:3], vectors[:3], strict=True):
    np.testing.assert_allclose(
      model.embed_log_mel(window[None])[0], vector, atol=1e-5
    )


def test_in_full_batches_a_vector_is_the_same_beside_any_others(model):
  windows = _log_mels(128)
  vectors = model.embed_log_mel(windows)
  order = np.random.default_rng(1).permutation(128)
  np.testing.assert_array_equal(
    model.embed_log_mel(windows[order]), vectors[order]
  )
  beside_silence = windows[:64].copy()
  beside_silence[10:] = 0
  np.testing.assert_array_equal(
    model.embed_log_mel(beside_silence)[:10], vectors[:10]
  )


def test_labels_of_stored_vectors_are_rows_of_the_labels_names(model):
  vectors = model.embed_log_mel(_log_mels(5))
  rows, scores = model.label_embeddings(vectors, [0, 0, 0, 1, 1], top=9)
  assert rows.shape == scores.shape == (2, 3)
  np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
  np.testing.assert_array_equal(np.sort(rows, axis=1), [[0, 1, 2]] * 2)
  assert list(model.label_names.labels) == _LABELS
  best, _ = model.label_embeddings(vectors, [0, 0, 0, 1, 1], top=1)
  np.testing.assert_array_equal(best, rows[:, :1])


def test_labels_have_unit_vectors(model):
  every = model.label_vectors()
  np.testing.assert_allclose(np.linalg.norm(every, axis=1), 1, atol=1e-5)
  np.testing.assert_array_equal(
    model.label_vectors(np.array([2, 0])), every[[2, 0]]
  )


def test_a_model_without_labels_says_so(tmp_path: pathlib.Path):
  tiny_exports.export(tmp_path / "plain", _FRONT_END)
  plain = model_lib.Model(tmp_path / "plain")
  assert plain.label_names is None
  with pytest.raises(errors.ConfigError, match="plain: .*no labels"):
    plain.label_vectors()
  with pytest.raises(errors.ConfigError, match="plain: .*no labels"):
    plain.label_embeddings(plain.embed_log_mel(_log_mels(1)), [0], 1)


def _music(duration_s: float, rate_hz: int = 44_100, seed: int = 0):
  """A wandering tone over noise, float32 [samples, 2]."""
  rng = np.random.default_rng(seed)
  time = np.arange(int(duration_s * rate_hz)) / rate_hz
  hz = 200 * 2 ** (rng.uniform(0, 2) + 1.5 * np.sin(time * rng.uniform(0.5, 2)))
  tone = 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / rate_hz)
  noise = rng.normal(0, 0.02, (len(time), 2))
  return (tone[:, None] + noise).astype(np.float32)


def _file(path: pathlib.Path, duration_s: float, seed: int = 0) -> str:
  soundfile.write(path, _music(duration_s, seed=seed), 44_100)
  return str(path)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
  return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Files of many lengths; song.mp3 is the one that tests ask for."""
  path = tmp_path_factory.mktemp("music")
  _file(path / "song.mp3", 10.0, seed=99)
  for place in range(16):
    kind = ("wav", "flac", "ogg", "mp3")[place % 4]
    _file(path / f"{place:02d}.{kind}", 0.5 + place * 0.7, seed=place)
  return path


def test_a_recording_has_one_vector_however_it_is_embedded(model, folder):
  song = str(folder / "song.mp3")
  alone = model.embed(song)
  others = sorted(str(path) for path in folder.glob("[0-9]*")) * 4
  assert len(others) == 64
  first = model.embed([song, *others[1:]])
  last = model.embed([*others[:63], song])
  middle = model.embed([*others[:31], song, *others[32:]])
  samples, rate_hz = soundfile.read(song, dtype="float32")
  decoded = decode.decode(song, max_s=None).waveform
  wholes = [samples, samples.T, samples.astype(np.float64)]
  # The export's own front end, alone and filled up beside a longer recording.
  signatures = model.exported.load().signatures
  padded = np.zeros((2, len(decoded) + 70_000), np.float32)
  padded[0, : len(decoded)] = decoded
  padded[1] = np.resize(decoded, padded.shape[1])
  in_graph = signatures["embed"](waveform=tf.constant(decoded))
  in_padded = signatures["embed_padded"](
    waveform=tf.constant(padded),
    num_samples=tf.constant([len(decoded), padded.shape[1]]),
  )
  found = {
    "first of 64": first[0],
    "last of 64": last[-1],
    "amid 64": middle[31],
    "decoded to 16 kHz": model.embed(decoded, sample_rate_hz=16_000),
    "in the graph": in_graph["recording_embedding"].numpy(),
    "padded in the graph": in_padded["recording_embedding"].numpy()[0],
    "mean of its windows": model.embed_windows(song).vectors.mean(0),
  } | {
    f"samples {x.dtype} {x.shape}": model.embed(x, sample_rate_hz=rate_hz)
    for x in wholes
  }
  cosines = {how: _cosine(vector, alone) for how, vector in found.items()}
  assert min(cosines.values()) >= 0.99999, cosines
  # Such a cosine would tell it from every other recording.
  assert max(_cosine(vector, alone) for vector in first[1:]) < 0.9999


def test_vectors_are_those_of_the_files_in_their_order(model, folder):
  paths = sorted(folder.glob("*"))
  together = model.embed(paths)
  assert together.shape == (17, 8)
  assert together.dtype == np.float32
  alone = np.stack([model.embed(path) for path in paths])
  np.testing.assert_allclose(together, alone, atol=1e-5)


def test_windows_come_with_the_seconds_at_which_they_begin(model, folder):
  start_s, vectors = model.embed_windows(folder / "song.mp3")
  duration_s = decode.decode(str(folder / "song.mp3")).duration_s
  np.testing.assert_allclose(start_s[:-1], [0, 3, 6])
  assert start_s[-1] == pytest.approx(duration_s - 3.015, abs=0.01)
  assert vectors.shape == (4, 8)
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
  several = model.embed_windows([folder / "00.wav", folder / "song.mp3"])
  assert [len(windows.start_s) for windows in several] == [1, 4]
  np.testing.assert_allclose(several[1].vectors, vectors, atol=1e-5)


@pytest.mark.parametrize("source", [None, 3, b"song.mp3", [0.1, 0.2], {}])
def test_what_is_neither_path_nor_array_is_refused(model, source):
  with pytest.raises(TypeError, match="a path or an array"):
    model.embed(source, sample_rate_hz=16_000)


def test_a_wrong_waveform_is_named_by_its_place(model):
  right, wrong = _music(4.0), np.zeros((64, 9_000))
  with pytest.raises(errors.ConfigError, match=r"^waveform: \[64, 9000\]"):
    model.embed(wrong, sample_rate_hz=44_100)
  with pytest.raises(errors.ConfigError, match=r"^sources\[1\]: \[64, 9000\]"):
    model.embed([right, wrong], sample_rate_hz=44_100)
  with pytest.raises(errors.ConfigError, match=r"^waveform: which rate"):
    model.embed(right)


def test_errors_name_the_file_before_others_are_decoded(
  model, folder, tmp_path
):
  with pytest.raises(errors.AudioError, match=r"gone\.mp3: no such file"):
    model.embed([folder / "song.mp3", folder / "gone.mp3"])
  with pytest.raises(errors.AudioError, match="a folder, not a file"):
    model.embed(folder)
  (tmp_path / "text.mp3").write_bytes(b"no audio at all" * 50)
  for embed in (model.embed, model.embed_windows, model.labels):
    with pytest.raises(errors.AudioError, match=r"text\.mp3: not an audio"):
      embed([folder / "song.mp3", tmp_path / "text.mp3"])


def test_a_cut_file_gives_what_decoding_it_gives_and_a_warning(
  model, folder, tmp_path
):
  content = (folder / "song.mp3").read_bytes()
  cut = tmp_path / "cut.mp3"
  cut.write_bytes(content[: len(content) // 2])
  with pytest.warns(UserWarning, match=r"cut\.mp3: damaged or cut: .*4\.9 s"):
    vector = model.embed(cut)
  decoded = decode.decode(str(cut))
  assert decoded.truncated
  np.testing.assert_array_equal(
    vector, model.embed(decoded.waveform, sample_rate_hz=16_000)
  )


def test_labels_are_those_of_the_exports_own_signature(model, folder):
  song = str(folder / "song.mp3")
  decoded = decode.decode(song, max_s=None).waveform
  outputs = model.exported.load().signatures["label"](
    waveform=tf.constant(decoded)
  )
  found = model.labels(song, top=3)
  assert [label for label, _ in found] == [
    text.decode() for text in outputs["labels"].numpy()
  ]
  np.testing.assert_allclose(
    [score for _, score in found], outputs["scores"].numpy(), atol=1e-5
  )
  assert len(model.labels(song)) == 3
  several = model.labels([folder / "03.mp3", song], top=1)
  assert several[1][0].label == found[0].label
  with pytest.raises(errors.ConfigError, match="top=0"):
    model.labels(song, top=0)


@pytest.fixture(scope="module")
def senses(tmp_path_factory: pytest.TempPathFactory) -> model_lib.Model:
  """Of the two senses of "bebop" the second is the more frequent one."""
  names = label_names.LabelNames(
    labels=["46_bebop", "jazz", "5_bebop"],
    counts=np.array([10, 70, 50]),
    term_names=["bebop", "jazz"],
    terms=np.array([0, 1, 0]),
    clusters=np.array([46, -1, 5]),
  )
  path = tmp_path_factory.mktemp("export") / "senses"
  saved_model.save(
    tiny_exports.network(_FRONT_END, num_labels=3),
    str(path),
    front_end=_FRONT_END,
    vocabulary=names.labels,
    label_names=names,
  )
  return model_lib.Model(path)


def test_a_word_has_the_vector_of_its_most_frequent_sense(senses):
  every = senses.label_vectors()
  np.testing.assert_array_equal(senses.label_vector("46_bebop"), every[0])
  np.testing.assert_array_equal(senses.label_vector("bebop"), every[2])
  np.testing.assert_array_equal(senses.label_vector("JAZZ"), every[1])
  with pytest.raises(errors.ConfigError, match="'bebob'.*near it: bebop"):
    senses.label_vector("bebob")
  with pytest.raises(errors.ConfigError, match="no such sense.*5_bebop"):
    senses.label_vector("7_bebop")


def test_similarity_is_the_cosine_of_what_is_named(senses, folder):
  song, other = folder / "song.mp3", str(folder / "03.mp3")
  one, two = senses.embed([song, other])
  every = senses.label_vectors()
  assert senses.similarity(song, other) == pytest.approx(
    _cosine(one, two), abs=1e-5
  )
  assert isinstance(senses.similarity(song, other), float)
  assert senses.similarity(one, one) == pytest.approx(1, abs=1e-5)
  assert senses.similarity("jazz", song) == pytest.approx(
    _cosine(every[1], one), abs=1e-5
  )
  of_senses = [_cosine(every[sense], one) for sense in (0, 2)]
  assert senses.similarity(song, "bebop") == pytest.approx(
    max(of_senses), abs=1e-5
  )
  table = senses.similarity([song, two, "jazz"], ["bebop", "46_bebop"])
  expected = [
    [max(x @ every[0], x @ every[2]), x @ every[0]]
    for x in (one / np.linalg.norm(one), two / np.linalg.norm(two), every[1])
  ]
  np.testing.assert_allclose(table, expected, atol=1e-5)
  np.testing.assert_allclose(
    senses.similarity(np.stack([one, two]), "46_bebop"),
    table[:2, 1],
    atol=1e-5,
  )
  assert senses.similarity([], ["jazz"]).shape == (0, 1)
  assert senses.similarity(np.zeros(8, np.float32), "jazz") == 0.0


def test_similarity_takes_waveforms_with_their_rate(senses):
  a, b = _music(4.0, seed=1), _music(4.0, seed=2)
  vectors = senses.embed([a, b], sample_rate_hz=44_100)
  assert senses.similarity(a, b, sample_rate_hz=44_100) == pytest.approx(
    _cosine(*vectors), abs=1e-5
  )
  with pytest.raises(errors.ConfigError, match=r"not a vector of this model"):
    senses.similarity(a[:, 0], "jazz")


def test_a_string_that_is_neither_label_nor_file_says_what_is_alike(senses):
  with pytest.raises(errors.ConfigError, match="'jaz': no file, and no label"):
    senses.similarity("jaz", "jazz")
  with pytest.raises(errors.AudioError, match=r"\./jazz: no such file"):
    senses.similarity("./jazz", "jazz")


def test_no_source_gives_no_vector(model):
  assert model.embed([]).shape == (0, 8)
  assert model.embed_windows([]) == []
  assert model.labels([]) == []


def test_a_model_says_what_it_is(model, senses):
  text = repr(model)
  assert "SmallCNN, 8 dimensions, 3 labels" in text
  assert model.fingerprint[:8] in text
  assert model.fingerprint != senses.fingerprint
  assert model.dim == 8
  assert model.front_end == _FRONT_END


def test_several_threads_may_use_a_model(folder, tmp_path):
  tiny_exports.export(tmp_path / "plain", _FRONT_END)
  shared = model_lib.Model(tmp_path / "plain")
  paths = sorted(folder.glob("0*"))
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    found = list(pool.map(shared.embed, paths))
  np.testing.assert_allclose(np.stack(found), shared.embed(paths), atol=1e-5)


_IMPORTS = """
import sys
import music_embed
assert {"load", "Model", "AudioError"} <= set(dir(music_embed))
heavy = {"tensorflow", "tf_keras", "numpy", "soundfile"} & set(sys.modules)
assert not heavy, heavy
try:
  music_embed.load(sys.argv[1])
except music_embed.ConfigError as error:
  print(error)
"""


def test_importing_the_package_is_cheap_and_load_says_what_is_missing(tmp_path):
  found = subprocess.run(
    [sys.executable, "-c", _IMPORTS, str(tmp_path / "none")],
    capture_output=True,
    text=True,
    check=True,
    env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
  )
  assert found.stdout.rstrip().endswith("none: no such exported model")


def test_load_opens_an_export_in_two_lines(model, folder):
  loaded = music_embed.load(model.exported.directory)
  assert isinstance(loaded, music_embed.Model)
  np.testing.assert_array_equal(
    loaded.embed(folder / "song.mp3"), model.embed(folder / "song.mp3")
  )
