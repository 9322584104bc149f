import numpy as np
import pytest

from music_embed.core import errors, files
from music_embed.data.records import embedding_store

_KEY = {"dataset": "d", "network": "n", "granularity": "windows"}
_ROWS_EACH = np.array([2, 1, 3])
_VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)


def _written(directory):
  writer = embedding_store.Writer(directory, key=_KEY, rows_each=_ROWS_EACH)
  writer.write(3, _VECTORS)
  return writer.finish()


@pytest.fixture
def directory(tmp_path):
  return str(tmp_path / "store")


def test_a_store_is_read_as_it_was_written(directory) -> None:
  _written(directory)
  store = embedding_store.load(directory, "d")
  np.testing.assert_array_equal(store.embeddings, _VECTORS)
  assert isinstance(store.embeddings, np.memmap)
  assert store.embeddings.dtype == np.float32
  assert store.indptr.tolist() == [0, 2, 3, 6]
  assert (store.granularity, store.num_recordings, store.dim) == (
    "windows",
    3,
    2,
  )
  assert store.metadata["sha256"]["embeddings.npy"] == files.sha256(
    f"{directory}/embeddings.npy"
  )


def test_means_are_plain_means_of_a_recordings_rows(directory) -> None:
  means = _written(directory).means(np.array([2, 0]))
  np.testing.assert_array_equal(means, [[8.0, 9.0], [1.0, 2.0]])


def test_a_store_that_was_cut_short_goes_on_where_it_stopped(directory) -> None:
  writer = embedding_store.Writer(directory, key=_KEY, rows_each=_ROWS_EACH)
  writer.write(2, _VECTORS[:3])
  assert embedding_store.find(directory, _KEY) is None
  with pytest.raises(errors.DataError, match="no finished embeddings"):
    embedding_store.load(directory, "d")
  writer = embedding_store.Writer(directory, key=_KEY, rows_each=_ROWS_EACH)
  assert writer.done == 2
  writer.write(1, _VECTORS[3:])
  np.testing.assert_array_equal(writer.finish().embeddings, _VECTORS)
  assert embedding_store.find(directory, _KEY) is not None


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize("what", ["dataset", "network", "granularity"])
def test_embeddings_of_something_else_are_refused_in_one_line(
  directory, what, is_finished
) -> None:
  if is_finished:
    _written(directory)
  else:
    writer = embedding_store.Writer(directory, key=_KEY, rows_each=_ROWS_EACH)
    writer.write(1, _VECTORS[:2])
  with pytest.raises(errors.ConfigError) as raised:
    embedding_store.find(directory, {**_KEY, what: "other"})
  assert f"embeddings of another {what}" in str(raised.value)
  assert "\n" not in str(raised.value)


def test_a_store_of_another_dataset_is_refused(directory) -> None:
  _written(directory)
  with pytest.raises(errors.ConfigError, match="of another dataset"):
    embedding_store.load(directory, "other")


@pytest.mark.parametrize("name", ["embeddings.npy", "indptr.npy"])
def test_a_damaged_store_is_named(directory, name) -> None:
  _written(directory)
  np.save(f"{directory}/{name}", np.zeros((5, 2), np.float32))
  with pytest.raises(errors.DataError, match="are damaged"):
    embedding_store.load(directory, "d")


def test_a_planned_store_has_the_shape_and_takes_no_memory() -> None:
  store = embedding_store.planned(np.full(1_000_000, 80), 128)
  assert store.embeddings.shape == (80_000_000, 128)
  assert store.embeddings.strides == (0, 0)
