"""Reading payloads from local shards and through TensorFlow's file systems."""

import pathlib
import resource
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.data.records import cache, payloads, prepared

_NUM_FILES = 12


@pytest.fixture(autouse=True)
def _home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(tmp_path / "home"))


@pytest.fixture
def remote() -> Iterator[str]:
  """A folder of TensorFlow's file system in memory."""
  folder = "ram://payloads"
  tf.io.gfile.makedirs(folder)
  yield folder
  tf.io.gfile.rmtree(folder)


def _copy(directory: str, remote: str) -> None:
  for path in pathlib.Path(directory).iterdir():
    if path.is_file():
      with tf.io.gfile.GFile(f"{remote}/{path.name}", "wb") as file:
        file.write(path.read_bytes())


def _contents() -> list[np.ndarray]:
  rng = np.random.default_rng(0)
  return [rng.integers(0, 256, 5_000, np.uint8) for _ in range(_NUM_FILES)]


def _write(folder: pathlib.Path) -> list[str]:
  paths = [str(folder / f"file{number}") for number in range(_NUM_FILES)]
  for path, content in zip(paths, _contents(), strict=True):
    pathlib.Path(path).write_bytes(content.tobytes())
  return paths


def _assert_reads(reader: payloads.Reader) -> None:
  contents = _contents()
  rng = np.random.default_rng(1)
  shards = rng.integers(0, _NUM_FILES, 200)
  offsets = rng.integers(0, 4_900, 200)
  out = np.empty((200, 50), "<i2")
  reader.read(shards, offsets, out)
  for shard, offset, row in zip(shards, offsets, out, strict=True):
    expected = contents[shard][offset : offset + 100].tobytes()
    assert row.tobytes() == expected


def test_more_shards_than_may_be_open_are_read(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(payloads, "_descriptors", lambda wanted: 3)
  reader = payloads.LocalReader(_write(tmp_path))
  _assert_reads(reader)
  assert len(reader._open) == 3


def test_the_soft_limit_is_raised_only_where_it_is_too_low() -> None:
  before = resource.getrlimit(resource.RLIMIT_NOFILE)
  try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, before[1]))
    assert payloads._descriptors(100) == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1_024
    assert payloads._descriptors(2_000) == 2_000
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2_000
  finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_shard_that_became_shorter_is_named(tmp_path: pathlib.Path) -> None:
  reader = payloads.LocalReader(_write(tmp_path))
  with pytest.raises(errors.DataError, match="file2 ends before byte 5001"):
    reader.read(np.array([2]), np.array([4_991]), np.empty((1, 10), np.uint8))


def test_a_shard_that_went_away_is_named(tmp_path: pathlib.Path) -> None:
  paths = _write(tmp_path)
  reader = payloads.LocalReader(paths)
  pathlib.Path(paths[4]).unlink()
  with pytest.raises(errors.DataError, match="file4: cannot be read"):
    reader.read(np.array([4]), np.array([0]), np.empty((1, 10), np.uint8))


def test_a_disk_that_fails_is_named_with_the_shard(
  tmp_path: pathlib.Path,
) -> None:
  (tmp_path / "shard").mkdir()  # Opens, and gives an error when it is read.
  with pytest.raises(errors.DataError, match="shard: cannot be read"):
    payloads.reader(str(tmp_path), ["shard"]).read(
      np.array([0]), np.array([0]), np.empty((1, 8), np.uint8)
    )


def test_remote_reads_are_those_of_the_files(
  tmp_path: pathlib.Path, remote: str
) -> None:
  paths = _write(tmp_path)
  _copy(str(tmp_path), remote)
  names = [pathlib.Path(path).name for path in paths]
  _assert_reads(payloads.reader(remote, names))


def test_a_remote_shard_that_is_missing_or_short_is_named(
  tmp_path: pathlib.Path, remote: str
) -> None:
  _write(tmp_path)
  _copy(str(tmp_path), remote)
  reader = payloads.reader(remote, ["file0", "file99"])
  out = np.empty((1, 10), np.uint8)
  with pytest.raises(errors.DataError, match="file0 ends before byte 5001"):
    reader.read(np.array([0]), np.array([4_991]), out)
  with pytest.raises(errors.DataError, match="file99: cannot be read"):
    reader.read(np.array([1]), np.array([0]), out)


def test_a_dataset_on_an_object_store_is_that_on_disk(
  write_dataset: Any, remote: str
) -> None:
  written = write_dataset()
  _copy(written.directory, remote)
  local, far = written.open(), prepared.PreparedDataset(remote)
  assert far.titles == local.titles
  assert far.vocabulary == local.vocabulary
  for split in (None, "train"):
    np.testing.assert_array_equal(
      far.graph(split).pairs(), local.graph(split).pairs()
    )
  recordings, starts = np.array([17, 0, 5, 5, 12]), np.array([51, 0, 3, 15, 20])
  np.testing.assert_array_equal(
    far.windows(recordings, starts), local.windows(recordings, starts)
  )
  for index in range(local.num_recordings):
    np.testing.assert_array_equal(far.rows(index), local.rows(index))


def test_an_unfinished_dataset_on_an_object_store_says_so(remote: str) -> None:
  with pytest.raises(errors.DataError, match="no finished dataset"):
    prepared.PreparedDataset(remote)
