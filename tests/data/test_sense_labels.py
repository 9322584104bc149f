"""Sense labels on disk, and the dataset seen through them."""

import pathlib
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors, files
from music_embed.data.mining import senses
from music_embed.data.records import prepared, sense_labels


def _write(directory: str, data: prepared.PreparedDataset) -> None:
  found = np.arange(data.num_recordings, dtype=np.int32) % 3 - 1
  split = senses.split_labels(
    *data.labels_csr,
    data.vocabulary,
    found,
    data.split_range("train"),
    senses.SenseOptions(min_recordings=1),
  )
  sense_labels.write(directory, split, found, data, {"seed": 3})


def test_a_relabelled_dataset_has_senses_and_all_else(
  write_dataset: Any, tmp_path: pathlib.Path
) -> None:
  data = write_dataset().open()
  directory = str(tmp_path / "senses")
  _write(directory, data)
  seen = sense_labels.relabel(data, directory)
  for index in range(data.num_recordings):
    cluster = index % 3 - 1
    plain = {data.vocabulary[i] for i in data.label_ids(index)}
    texts = {seen.vocabulary[i] for i in seen.label_ids(index)}
    stripped = {text.removeprefix(f"{cluster}_") for text in texts}
    assert stripped == plain
    if cluster < 0:
      assert texts == plain
  assert seen.sense_labels.metadata["seed"] == 3
  assert seen.sense_labels.num_clusters == 2
  assert seen.sense_labels.plain_vocabulary == data.vocabulary
  assert (np.diff(seen.label_counts) <= 0).all()
  assert seen.max_labels == data.max_labels
  assert seen.fingerprint == data.fingerprint
  assert seen.recording_ids[5] == data.recording_ids[5]
  np.testing.assert_array_equal(seen.rows(4), data.rows(4))


def test_senses_of_another_dataset_are_refused(
  write_dataset: Any, tmp_path: pathlib.Path
) -> None:
  directory = str(tmp_path / "senses")
  data = write_dataset().open()
  _write(directory, data)
  path = files.join(directory, sense_labels.FILE_NAME)
  described = files.read_json(path)
  files.write_json(path, described | {"dataset": "0" * 64})
  with pytest.raises(errors.ConfigError, match="senses of another dataset"):
    sense_labels.relabel(data, directory)


def test_missing_and_damaged_senses_are_refused(
  write_dataset: Any, tmp_path: pathlib.Path
) -> None:
  directory = str(tmp_path / "senses")
  data = write_dataset().open()
  with pytest.raises(errors.ConfigError, match=r"run launch/senses\.py"):
    sense_labels.relabel(data, directory)
  _write(directory, data)
  (tmp_path / "senses" / "plain.npy").write_bytes(b"cut")
  with pytest.raises(errors.DataError, match=r"plain\.npy: missing or damaged"):
    sense_labels.relabel(data, directory)
