"""Batches of stored embeddings."""

import numpy as np
import pytest

from music_embed.core import errors, keys, types
from music_embed.data.pipeline import batching, embedded
from music_embed.data.records import embedding_store

_DIM = 3


@pytest.fixture
def data(write_dataset):
  return write_dataset().open()


@pytest.fixture
def store(data):
  """Recording i has 1 + i % 3 rows, whose first number is i."""
  rows_each = 1 + np.arange(data.num_recordings) % 3
  indptr = np.concatenate([[0], np.cumsum(rows_each)])
  vectors = np.random.default_rng(0).normal(size=(indptr[-1], _DIM))
  vectors[:, 0] = np.repeat(np.arange(data.num_recordings), rows_each)
  return embedding_store.EmbeddingStore("", vectors.astype("f4"), indptr)


@pytest.fixture
def source(store):
  return embedded.EmbeddedSource(batch_windows=24).reading(store)


def _batch(source, data, step=5, worker=batching.WHOLE):
  return source.steps(data, seed=2, worker=worker).function(step)


def test_a_batch_holds_training_recordings_embeddings_and_labels(
  source, data
) -> None:
  batch = _batch(source, data)
  assert set(batch) == {keys.EMBEDDING, keys.RECORDING, keys.LABEL_IDS}
  train = data.split_range("train")
  for embedding, index, labels in zip(
    batch[keys.EMBEDDING],
    batch[keys.RECORDING],
    batch[keys.LABEL_IDS],
    strict=True,
  ):
    assert index in train
    assert embedding[0] == index
    assert labels[labels >= 0].tolist() == data.label_ids(index).tolist()
    assert len(data.label_ids(index))


def test_every_row_of_a_recording_is_drawn(source, store, data) -> None:
  drawn = np.concatenate(
    [_batch(source, data, step)[keys.EMBEDDING] for step in range(20)]
  )
  train = data.split_range("train")
  for index in train:
    if len(data.label_ids(index)):
      rows = store.embeddings[store.indptr[index] : store.indptr[index + 1]]
      for row in rows:
        assert (drawn == row).all(axis=1).any()


def test_a_batch_is_a_function_of_seed_and_step(source, data) -> None:
  first, again = _batch(source, data), _batch(source, data)
  for name, array in first.items():
    np.testing.assert_array_equal(array, again[name])
  other = _batch(source, data, step=6)
  assert (first[keys.EMBEDDING] != other[keys.EMBEDDING]).any()


def test_workers_make_slices_of_the_same_batch(source, data) -> None:
  whole = _batch(source, data)
  parts = [_batch(source, data, worker=types.Slice(i, 3)) for i in range(3)]
  for name, array in whole.items():
    joined = np.concatenate([part[name] for part in parts])
    np.testing.assert_array_equal(joined, array)


def test_a_scaled_source_has_as_many_times_the_rows(source, data) -> None:
  batch = _batch(source.scaled(2), data)
  assert batch[keys.EMBEDDING].shape == (48, _DIM)


def test_what_a_batch_holds_is_known_before(source, data) -> None:
  steps = source.steps(data, seed=0)
  for name, array in steps.function(0).items():
    spec = steps.signature[name]
    assert (array.shape, array.dtype) == (spec.shape, spec.dtype)


def test_a_source_without_a_store_says_what_to_bind(data) -> None:
  with pytest.raises(errors.ConfigError, match=r"train\.train\.embeddings"):
    embedded.EmbeddedSource(batch_windows=4).steps(data, seed=0)


def test_a_store_of_other_recordings_is_refused(store, data) -> None:
  few = embedding_store.EmbeddingStore(
    "store", store.embeddings, store.indptr[:-1]
  )
  source = embedded.EmbeddedSource(batch_windows=4).reading(few)
  with pytest.raises(errors.ConfigError, match="embeddings of 17 recordings"):
    source.steps(data, seed=0)
