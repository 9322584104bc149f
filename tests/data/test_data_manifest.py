"""The manifest names what is wrong with a dataset."""

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from music_embed.core import errors, files
from music_embed.data.records import manifest


def _edit(directory: str, **changes: Any) -> None:
  path = pathlib.Path(directory, manifest.FILE_NAME)
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_manifest_comes_back_as_it_was_saved(
  write_dataset: Any, tmp_path: pathlib.Path
) -> None:
  loaded = manifest.load(write_dataset().directory)
  for entry in loaded.files:
    (tmp_path / entry.name).write_bytes(bytes(entry.num_bytes))
  loaded.save(str(tmp_path))
  assert manifest.load(str(tmp_path)) == loaded


def test_another_schema_version_is_refused(write_dataset: Any) -> None:
  directory = write_dataset().directory
  _edit(directory, schema_version=99)
  with pytest.raises(errors.DataError, match="schema version 99"):
    manifest.load(directory)


def test_a_missing_field_is_refused(write_dataset: Any) -> None:
  directory = write_dataset().directory
  _edit(directory, front_end={"bins": 3})
  with pytest.raises(errors.DataError, match=r"manifest\.json: malformed"):
    manifest.load(directory)


def test_split_sizes_must_match_the_shards(write_dataset: Any) -> None:
  directory = write_dataset().directory
  _edit(directory, splits={"train": 12, "validation": 3, "evaluation": 4})
  with pytest.raises(errors.DataError, match="evaluation hold 3 recordings"):
    manifest.load(directory)


def test_a_missing_shard_is_named(write_dataset: Any) -> None:
  directory = write_dataset().directory
  pathlib.Path(directory, "validation.tfrecord-00000-of-00001").unlink()
  with pytest.raises(errors.DataError, match="validation.*is missing"):
    manifest.load(directory)


def test_a_shard_of_another_size_is_named(write_dataset: Any) -> None:
  directory = write_dataset().directory
  path = pathlib.Path(directory, "train.tfrecord-00001-of-00003")
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(errors.DataError, match="train.tfrecord-00001.*bytes"):
    manifest.load(directory)


def test_an_unfinished_dataset_says_what_to_do(tmp_path: pathlib.Path) -> None:
  with pytest.raises(errors.DataError, match=r"launch/prepare\.py"):
    manifest.load(str(tmp_path))


def test_shards_beyond_five_digits_keep_their_order(
  write_dataset: Any,
) -> None:
  loaded = manifest.load(write_dataset().directory)
  names = [files.shard_name("graph", n, 100_003) for n in range(9_998, 100_003)]
  entries = tuple(manifest.FileEntry(n, 0, "", 0) for n in sorted(names))
  many = dataclasses.replace(loaded, files=entries)
  assert [file.name for file in many.shards("graph")] == names
