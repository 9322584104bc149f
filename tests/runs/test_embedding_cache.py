"""Embeddings of a dataset by a run's network, kept on disk."""

import pathlib
import shutil

import numpy as np
import pytest
import tiny_runs

from music_embed.core import errors
from music_embed.data.records import embedding_store, prepared
from music_embed.models import inference
from music_embed.runs import (
  embedding_cache,
  restore,
  validation,
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _train(dataset, workdir, seed=0):
  tiny_runs.run_gin(
    "gin/runs/demo_triplet.gin",
    dataset,
    workdir,
    "TRAIN_STEPS = 1",
    "BATCH_TRIPLETS = 4",
    "loop.LoopOptions.validation_steps = 1",
    seed=seed,
  )


@pytest.fixture(scope="module")
def model(tiny_dataset, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("run")
  _train(tiny_dataset, workdir)
  return str(workdir)


@pytest.fixture(scope="module")
def data(tiny_dataset):
  return prepared.PreparedDataset(tiny_dataset)


def _ensure(directory, model, data, **kwargs):
  return embedding_cache.ensure(
    str(directory), model=model, data=data, batch_windows=4, **kwargs
  )


def test_it_holds_what_the_network_says_about_each_window(
  model, data, tmp_path
) -> None:
  store = _ensure(tmp_path / "store", model, data)
  network = restore.load_embedder(model, data)
  run = validation.recording_embedder(network, data, batch_windows=8)
  for index in (0, data.num_recordings - 1):
    expected = run.windows(validation.all_windows(data, [index]))
    rows = store.embeddings[store.indptr[index] : store.indptr[index + 1]]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
  whole = run(validation.all_windows(data, range(data.num_recordings)))
  np.testing.assert_array_equal(np.diff(store.indptr), whole.num_windows)
  means = store.means(np.arange(data.num_recordings))
  np.testing.assert_allclose(means, whole.embeddings, atol=1e-6)


def test_it_can_hold_recordings_means(model, data, tmp_path) -> None:
  windows = _ensure(tmp_path / "windows", model, data)
  means = _ensure(tmp_path / "means", model, data, granularity="recordings")
  assert means.granularity == "recordings"
  every = np.arange(data.num_recordings)
  assert means.embeddings.shape == (len(every), windows.dim)
  np.testing.assert_allclose(means.embeddings, windows.means(every), atol=1e-6)


def test_a_second_call_computes_nothing(
  model, data, tmp_path, monkeypatch
) -> None:
  first = _ensure(tmp_path / "store", model, data)

  def fail(*args, **kwargs):
    raise AssertionError("embedded again")

  monkeypatch.setattr(restore, "load_embedder", fail)
  again = _ensure(tmp_path / "store", model, data)
  np.testing.assert_array_equal(first.embeddings, again.embeddings)


def test_an_interrupted_one_goes_on_and_ends_with_the_same_bytes(
  model, data, tmp_path, monkeypatch
) -> None:
  monkeypatch.setattr(embedding_cache, "_BATCHES_OF_PART", 2)
  _ensure(tmp_path / "whole", model, data)
  calls = []
  own = inference.RecordingEmbedder.windows

  def failing(runner, recordings):
    calls.append(1)
    if len(calls) == 3:
      raise KeyboardInterrupt
    return own(runner, recordings)

  monkeypatch.setattr(inference.RecordingEmbedder, "windows", failing)
  with pytest.raises(KeyboardInterrupt):
    _ensure(tmp_path / "cut", model, data)
  calls[:] = [0] * 3
  _ensure(tmp_path / "cut", model, data)
  names = ("embeddings.npy", "indptr.npy", "embeddings.json")
  for name in names:
    whole, cut = (tmp_path / each / name for each in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
  assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == sorted(
    [*names, "lock"]
  )


def test_those_of_another_network_are_refused(
  model, data, tiny_dataset, tmp_path
) -> None:
  _ensure(tmp_path / "store", model, data)
  _train(tiny_dataset, tmp_path / "other", seed=1)
  with pytest.raises(errors.ConfigError, match="of another network"):
    _ensure(tmp_path / "store", str(tmp_path / "other"), data)


def test_a_directory_without_a_run_is_refused(data, tmp_path) -> None:
  with pytest.raises(errors.ConfigError, match="no training run here"):
    _ensure(tmp_path / "store", str(tmp_path), data)


def test_a_network_is_known_by_its_weights_not_its_path(
  model, data, tmp_path
) -> None:
  shutil.copytree(model, tmp_path / "copy")
  _ensure(tmp_path / "store", model, data)
  _ensure(tmp_path / "store", str(tmp_path / "copy"), data)


def test_an_unknown_granularity_is_refused() -> None:
  with pytest.raises(errors.ConfigError, match="windows, recordings"):
    embedding_cache.CachedEmbeddings(granularity="frames")
  assert embedding_store.GRANULARITIES == ("windows", "recordings")
