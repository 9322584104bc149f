"""Vectors of a graph on disk: what is written is read, or refused."""

import json
import pathlib

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.mining import factors

_INPUTS = {"dataset": "abc", "seed": 3}


@pytest.fixture
def written(tmp_path: pathlib.Path) -> pathlib.Path:
  vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
  vectors[2] = 0.0
  factors.write(str(tmp_path), vectors, vectors + 1, _INPUTS)
  return tmp_path


def test_vectors_and_both_sides_come_back(written: pathlib.Path) -> None:
  found = factors.load(str(written), "abc")
  assert found.vectors.dtype == np.float32
  assert isinstance(found.vectors, np.memmap)
  assert found.metadata["seed"] == 3
  np.testing.assert_array_equal(found.vectors[3], [9, 10, 11])
  np.testing.assert_array_equal(found.other_side, np.r_[found.vectors] + 1)


def test_recordings_without_a_vector_have_no_vertex(
  written: pathlib.Path,
) -> None:
  found = factors.load(str(written), "abc")
  np.testing.assert_array_equal(found.has_vertex, [True, True, False, True])


def test_vectors_of_another_dataset_are_refused(written: pathlib.Path) -> None:
  with pytest.raises(errors.ConfigError, match=r"another dataset.*factorize"):
    factors.load(str(written), "def")


def test_a_folder_that_is_not_there_says_what_makes_one(
  tmp_path: pathlib.Path,
) -> None:
  with pytest.raises(errors.ConfigError, match=r"no such folder.*factorize"):
    factors.load(str(tmp_path / "none"), "abc")


def test_a_folder_without_metadata_is_unfinished(written: pathlib.Path) -> None:
  (written / factors.FILE_NAME).unlink()
  with pytest.raises(errors.DataError, match="unfinished"):
    factors.load(str(written), "abc")
  assert factors.finished(str(written), _INPUTS) is None


@pytest.mark.parametrize("name", [factors.VECTORS, factors.OTHER_SIDE])
def test_a_changed_byte_is_noticed(written: pathlib.Path, name: str) -> None:
  content = bytearray((written / name).read_bytes())
  content[-1] ^= 1
  (written / name).write_bytes(content)
  with pytest.raises(errors.DataError, match=rf"{name} is not the file"):
    factors.load(str(written), "abc")
  assert factors.finished(str(written), _INPUTS) is None


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"version": 99}, "version 99"),
    ({"format": "else"}, "does not describe"),
    ({"files": None}, "names no files"),
    ({"files": {}}, "not the file"),
  ],
)
def test_metadata_that_is_not_ours_is_refused(
  written: pathlib.Path, change: dict[str, object], message: str
) -> None:
  path = written / factors.FILE_NAME
  path.write_text(json.dumps(json.loads(path.read_text()) | change))
  with pytest.raises(errors.DataError, match=message):
    factors.load(str(written), "abc")


def test_a_missing_file_is_named(written: pathlib.Path) -> None:
  (written / factors.VECTORS).unlink()
  with pytest.raises(errors.DataError, match=r"vectors\.npy is missing"):
    factors.load(str(written), "abc")


def test_only_the_same_inputs_are_finished(written: pathlib.Path) -> None:
  assert factors.finished(str(written), _INPUTS) is not None
  assert factors.finished(str(written), _INPUTS | {"seed": 4}) is None
