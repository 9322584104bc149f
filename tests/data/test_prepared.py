"""Reading a prepared dataset."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.records import manifest, schema, writer


def test_windows_are_those_of_the_recordings(write_dataset: Any) -> None:
  written = write_dataset()
  dataset = written.open()
  recordings = np.array([17, 0, 5, 5, 12])
  starts = np.array([51, 0, 3, 15, 20])
  windows = dataset.windows(recordings, starts)
  assert windows.dtype == np.uint8
  assert windows.shape == (5, 10, 4)
  for window, recording, start in zip(windows, recordings, starts, strict=True):
    expected = written.log_mels[recording][start : start + 10]
    np.testing.assert_array_equal(window, expected)


def test_a_whole_recording_can_be_read(write_dataset: Any) -> None:
  written = write_dataset()
  dataset = written.open()
  for i, log_mel in enumerate(written.log_mels):
    np.testing.assert_array_equal(dataset.rows(i), log_mel)
    assert dataset.num_rows[i] == len(log_mel)


@pytest.mark.parametrize("start", [-1, 1])
def test_no_window_reaches_beyond_its_recording(
  write_dataset: Any, start: int
) -> None:
  dataset = write_dataset().open()  # Recording 0 has exactly one window.
  with pytest.raises(IndexError):
    dataset.windows(np.array([0]), np.array([start]))


def test_splits_follow_one_another(write_dataset: Any) -> None:
  dataset = write_dataset().open()
  assert dataset.num_recordings == 18
  assert dataset.split_range("train") == range(12)
  assert dataset.split_range("validation") == range(12, 15)
  assert dataset.split_range("evaluation") == range(15, 18)


def test_texts_and_labels_come_back(write_dataset: Any) -> None:
  written = write_dataset()
  dataset = written.open()
  assert dataset.recording_ids[13] == "id13"
  assert dataset.titles[2] == "título 2"
  assert dataset.artists[4] == "artist1"
  assert dataset.vocabulary[8] == "word 8"
  assert dataset.label_counts.tolist() == list(range(9, 0, -1))
  for i, labels in enumerate(written.labels):
    assert dataset.label_ids(i).tolist() == labels.tolist()
  assert dataset.max_labels == max(len(labels) for labels in written.labels)


def test_the_graph_of_a_split_has_both_ends_in_it(write_dataset: Any) -> None:
  dataset = write_dataset().open()
  assert dataset.graph(None).pairs().tolist() == [
    [0, 1],
    [1, 2],
    [2, 13],
    [12, 13],
  ]
  assert dataset.graph("train").pairs().tolist() == [[0, 1], [1, 2]]
  assert dataset.graph("validation").pairs().tolist() == [[12, 13]]
  assert dataset.graph("evaluation").num_edges == 0
  assert dataset.graph(None).counts.tolist() == [3, 3, 4, 4, 5, 6, 5, 6]


def test_the_cached_index_equals_the_built_one(write_dataset: Any) -> None:
  written = write_dataset()
  first, second = written.open(), written.open()
  assert pathlib.Path(written.directory, "cache/index/key.json").exists()
  np.testing.assert_array_equal(first.num_rows, second.num_rows)
  assert first.recording_ids == second.recording_ids
  assert first.max_labels == second.max_labels


def test_a_damaged_cache_is_replaced(write_dataset: Any) -> None:
  written = write_dataset()
  written.open()
  for path in pathlib.Path(written.directory, "cache/index").iterdir():
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(written.open().rows(3), written.log_mels[3])


def test_opening_reads_no_shard(write_dataset: Any) -> None:
  written = write_dataset()
  for path in pathlib.Path(written.directory).glob("*.tfrecord-*-of-00003"):
    path.write_bytes(bytes(path.stat().st_size))
  dataset = written.open()
  assert dataset.titles[2] == "título 2"
  assert dataset.num_rows.tolist() == [len(x) for x in written.log_mels]


@pytest.mark.parametrize("damage", ["missing", "shorter", "changed"])
def test_a_bad_sidecar_is_made_again_from_its_shard(
  write_dataset: Any, damage: str
) -> None:
  written = write_dataset()
  path = pathlib.Path(written.directory, "train.index-00001-of-00003")
  data = path.read_bytes()
  path.unlink()
  if damage != "missing":
    path.write_bytes(data[:-9] if damage == "shorter" else data[::-1])
  dataset = written.open()
  for index, log_mel in enumerate(written.log_mels):
    np.testing.assert_array_equal(dataset.rows(index), log_mel)
    assert dataset.recording_ids[index] == f"id{index}"


def test_a_sidecar_is_not_made_again_from_a_damaged_shard(
  write_dataset: Any,
) -> None:
  written = write_dataset()
  pathlib.Path(written.directory, "train.index-00002-of-00003").unlink()
  shard = pathlib.Path(written.directory, "train.tfrecord-00002-of-00003")
  data = bytearray(shard.read_bytes())
  data[-30] ^= 1
  shard.write_bytes(data)
  with pytest.raises(errors.DataError, match=r"00002-of-00003: record 1 .*dam"):
    written.open()


def test_a_shard_of_another_dataset_is_found_where_its_sidecar_is_missing(
  write_dataset: Any,
) -> None:
  written = write_dataset()
  folder = pathlib.Path(written.directory)
  made = manifest.load(written.directory)
  first = folder / "train.tfrecord-00000-of-00003"
  (folder / "train.index-00000-of-00003").unlink()
  records = [
    schema.RecordingRecord("x", "", "", np.arange(0), written.log_mels[0])
  ] * 5
  entry, _ = writer.write_recordings(written.directory, first.name, records)
  (folder / "train.index-00000-of-00003").unlink()
  others = [f for f in made.files if f.name != first.name]
  dataclasses.replace(made, files=(*others, entry)).save(written.directory)
  with pytest.raises(errors.DataError, match="is not the shard that"):
    written.open()


def test_text_columns_behave_like_lists(write_dataset: Any) -> None:
  dataset = write_dataset().open()
  ids = [f"id{i}" for i in range(18)]
  assert dataset.recording_ids == ids
  assert list(dataset.recording_ids) == ids
  assert dataset.recording_ids[-1] == "id17"
  assert dataset.recording_ids[3:5] == ["id3", "id4"]
  assert dataset.recording_ids.index("id7") == 7
  assert dataset.flags[1] == ()
  with pytest.raises(IndexError):
    dataset.recording_ids[18]


def test_an_edge_that_points_outside_is_found(write_dataset: Any) -> None:
  written = write_dataset()
  made = manifest.load(written.directory)
  neighbors = np.array([1, 18])
  entry = writer.write_shard(
    written.directory,
    "graph.tfrecord-00000-of-00001",
    [schema.encode_vertex(0, neighbors, neighbors)],
  )
  others = [f for f in made.files if not f.name.startswith("graph")]
  changed = dataclasses.replace(made, files=(*others, entry))
  changed.save(written.directory)
  with pytest.raises(errors.DataError, match="record 0"):
    written.open().graph(None)


def test_labels_outside_the_vocabulary_are_found(write_dataset: Any) -> None:
  written = write_dataset()
  made = manifest.load(written.directory)
  dataclasses.replace(made, counts={"labels": 3}).save(written.directory)
  with pytest.raises(errors.DataError, match=r"record \d: label \d is not one"):
    written.open()


def test_log_mels_of_another_front_end_are_found(write_dataset: Any) -> None:
  written = write_dataset()
  made = manifest.load(written.directory)
  front_end = dataclasses.replace(made.front_end, num_bins=5)
  changed = dataclasses.replace(made, front_end=front_end)
  changed.save(written.directory)
  with pytest.raises(errors.DataError, match="another front end"):
    written.open()
