import pathlib

import numpy as np
import pytest
import tiny_exports

from music_embed.core import errors, types
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
