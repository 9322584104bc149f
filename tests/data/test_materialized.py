"""Materialised batches are those of the source that they come from."""

import dataclasses
import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors, files, types
from music_embed.data import engines
from music_embed.data.pipeline import (
  batching,
  labelled,
  layout,
  materialize,
  materialized,
  triplets,
  weighting,
)

_EDGES = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (3, 13), (6, 17), (12, 13)]
_SEED = 3


def _triplets(batch: int = 8) -> triplets.TripletSource:
  return triplets.TripletSource(
    batch_triplets=batch,
    random_negative_share=0.3,
    anchor_weighting=weighting.LabelFrequency(),
  )


def _labelled() -> labelled.LabelledSource:
  return labelled.LabelledSource(batch_windows=12)


def _write(
  dataset: Any,
  source: batching.StepSource,
  output: str,
  *,
  steps: range = range(23),
  parts: int = 4,
  lanes: int = 3,
  steps_per_shard: int = 2,
  num_workers: int = 1,
) -> layout.Layout:
  made = layout.of_source(
    dataset,
    source,
    seed=_SEED,
    steps=steps,
    parts=parts,
    lanes=lanes,
    steps_per_shard=steps_per_shard,
  )
  with engines.create("local", num_workers=num_workers) as engine:
    materialize.materialize(dataset, source, made, output=output, engine=engine)
  return made


def _read(
  dataset: Any,
  paths: Any,
  first_step: int,
  num: int,
  worker: types.Slice = batching.WHOLE,
) -> list[dict[str, np.ndarray]]:
  batches = materialized.MaterializedSource(paths=paths).batches(
    dataset, seed=_SEED, first_step=first_step, worker=worker
  )
  return list(batches.take(num).as_numpy_iterator())


def _assert_same(
  one: list[dict[str, np.ndarray]], other: list[dict[str, np.ndarray]]
) -> None:
  for a, b in zip(one, other, strict=True):
    assert a.keys() == b.keys()
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])
      assert a[name].dtype == b[name].dtype


@pytest.fixture
def dataset(write_dataset: Any) -> Any:
  return write_dataset(edges=_EDGES).open()


@pytest.mark.parametrize("source", [_triplets(), _labelled()])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("first_step", [0, 1, 5, 6, 7, 12, 22])
def test_batches_are_those_of_the_positioned_source_from_any_step(
  dataset: Any, tmp_path: pathlib.Path, source: Any, lanes: int, first_step: int
) -> None:
  output = str(tmp_path / "batches")
  _write(dataset, source, output, lanes=lanes)
  num = 23 - first_step
  positioned = source.batches(dataset, seed=_SEED, first_step=first_step)
  expected = list(positioned.take(num).as_numpy_iterator())
  _assert_same(_read(dataset, output, first_step, num), expected)
  again = materialized.MaterializedSource(paths=output)
  spec = again.batches(dataset, seed=_SEED, first_step=0).element_spec
  assert spec == positioned.element_spec


@pytest.mark.parametrize("source", [_triplets(), _labelled()])
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_workers_get_the_slices_that_positioned_reading_gives_them(
  dataset: Any,
  tmp_path: pathlib.Path,
  source: Any,
  parts: int,
  num_workers: int,
) -> None:
  output = str(tmp_path / "batches")
  _write(dataset, source, output, parts=parts)
  for index in range(num_workers):
    worker = types.Slice(index, num_workers)
    positioned = source.batches(
      dataset, seed=_SEED, first_step=4, worker=worker
    )
    expected = list(positioned.take(9).as_numpy_iterator())
    _assert_same(_read(dataset, output, 4, 9, worker), expected)


def test_a_worker_opens_only_the_parts_with_its_rows(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  _write(dataset, _triplets(), str(tmp_path))
  for part in (0, 1, 3):
    for path in tmp_path.glob(f"part-{part:02d}.*"):
      path.unlink()
  assert len(_read(dataset, str(tmp_path), 0, 23, types.Slice(2, 4))) == 23


def test_resuming_opens_no_shard_before_its_step(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  made = _write(dataset, _triplets(), str(tmp_path))
  expected = _read(dataset, str(tmp_path), 13, 10)
  for shard in range(made.num_shards):
    if made.steps_of(shard).start < 12:
      for path in tmp_path.glob(f"*-{shard:05d}-of-*"):
        path.unlink()
  _assert_same(_read(dataset, str(tmp_path), 13, 10), expected)


def test_they_are_read_from_any_file_system_of_tensorflow(dataset: Any) -> None:
  output = "ram://materialized/batches"
  source = _triplets()
  _write(dataset, source, output)
  positioned = source.batches(dataset, seed=_SEED, first_step=2)
  expected = list(positioned.take(21).as_numpy_iterator())
  _assert_same(_read(dataset, output, 2, 21), expected)
  assert not [n for n in tf.io.gfile.listdir(output) if ".tmp" in n]
  _write(dataset, source, output)  # Finished: nothing to do.
  with pytest.raises(errors.DataError, match="holds other batches: num_steps"):
    _write(dataset, source, output, steps=range(24))


def test_folders_follow_one_another(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  paths = [str(tmp_path / name) for name in "abc"]
  for path, steps in zip(
    paths, (range(2, 9), range(9, 10), range(10, 25)), strict=True
  ):
    _write(dataset, _labelled(), path, steps=steps)
  positioned = _labelled().batches(dataset, seed=_SEED, first_step=4)
  expected = list(positioned.take(21).as_numpy_iterator())
  _assert_same(_read(dataset, paths, 4, 21), expected)
  source = materialized.MaterializedSource(paths=paths)
  assert source.available == range(2, 25)
  gap = materialized.MaterializedSource(paths=[paths[0], paths[2]])
  with pytest.raises(errors.ConfigError, match="begins at step 10, but"):
    _ = gap.available


def _bytes(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    path.name: path.read_bytes()
    for path in directory.iterdir()
    if path.is_file() and path.name != "lock"
  }


def test_the_number_of_processes_and_an_interruption_change_no_byte(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  one, other = tmp_path / "one", tmp_path / "other"
  _write(dataset, _triplets(), str(one))
  expected = _bytes(one)
  assert len(expected) == 4 * 12 + 1
  _write(dataset, _triplets(), str(other), num_workers=2)
  assert _bytes(other) == expected
  # As a kill leaves it: some shards, a temporary file, a shard cut short.
  (other / layout.FILE_NAME).rename(other / "materializing.json")
  (other / "part-01.tfrecord-00003-of-00012").unlink()
  cut = other / "part-02.tfrecord-00007-of-00012"
  cut.write_bytes(cut.read_bytes()[:100])
  (other / "part-02.tfrecord-00007-of-00012.tmp77").write_bytes(b"rest")
  kept = other / "part-02.tfrecord-00000-of-00012"
  written_at = kept.stat().st_mtime_ns
  with pytest.raises(errors.DataError, match="no finished batches"):
    _read(dataset, str(other), 0, 1)
  _write(dataset, _triplets(), str(other))
  assert _bytes(other) == expected
  assert kept.stat().st_mtime_ns == written_at


def test_what_does_not_fit_the_run_is_named(
  dataset: Any, tmp_path: pathlib.Path, write_dataset: Any
) -> None:
  path = str(tmp_path / "batches")
  _write(dataset, _triplets(), path, steps=range(5, 23))

  def batches(**changes: Any) -> None:
    arguments = {"seed": _SEED, "first_step": 5} | changes
    source = materialized.MaterializedSource(
      paths=path, source=arguments.pop("source", None)
    )
    source.batches(arguments.pop("dataset", dataset), **arguments)

  batches(source=_triplets())
  with pytest.raises(errors.ConfigError, match="with seed 3, but the run has"):
    batches(seed=4)
  with pytest.raises(
    errors.ConfigError, match="of another source: batch_triplets 8"
  ):
    batches(source=_triplets(batch=4))
  with pytest.raises(errors.ConfigError, match="steps 5 to 22, not for 23"):
    batches(first_step=23)
  with pytest.raises(errors.ConfigError, match="steps 5 to 22, not for 4"):
    batches(first_step=4)
  with pytest.raises(errors.ConfigError, match="evenly by 3 workers"):
    batches(worker=types.Slice(0, 3))
  shutil.rmtree(dataset.directory)
  other = write_dataset(edges=_EDGES[:4]).open()
  with pytest.raises(errors.ConfigError, match="another dataset than"):
    batches(dataset=other)


def test_a_folder_that_cannot_be_read_is_named(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  with pytest.raises(errors.DataError, match=r"launch/materialize\.py"):
    _read(dataset, str(tmp_path), 0, 1)
  made = _write(dataset, _labelled(), str(tmp_path))
  path = tmp_path / layout.FILE_NAME
  path.write_text(json.dumps(dataclasses.asdict(made) | {"format": 0}))
  with pytest.raises(errors.DataError, match="format 0, but this code"):
    _read(dataset, str(tmp_path), 0, 1)
  path.write_text(json.dumps({"format": layout.FORMAT}))
  with pytest.raises(errors.DataError, match="malformed"):
    _read(dataset, str(tmp_path), 0, 1)


def test_a_damaged_shard_ends_reading_with_an_error(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  _write(dataset, _labelled(), str(tmp_path))
  shard = tmp_path / "part-01.tfrecord-00001-of-00012"
  data = bytearray(shard.read_bytes())
  data[len(data) // 4] ^= 1
  shard.write_bytes(data)
  with pytest.raises(tf.errors.DataLossError):
    _read(dataset, str(tmp_path), 0, 23)


def test_a_shard_in_the_place_of_another_is_found(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  _write(dataset, _labelled(), str(tmp_path))
  shutil.copy(
    tmp_path / "part-01.tfrecord-00001-of-00012",
    tmp_path / "part-01.tfrecord-00004-of-00012",
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match="out of order"):
    _read(dataset, str(tmp_path), 0, 23)


def test_the_end_of_the_batches_is_an_error_and_not_the_end_of_training(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  _write(dataset, _labelled(), str(tmp_path))
  assert len(_read(dataset, str(tmp_path), 20, 3)) == 3
  with pytest.raises(tf.errors.InvalidArgumentError, match="end at step 23"):
    _read(dataset, str(tmp_path), 20, 4)


def test_another_request_in_the_same_folder_is_refused(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  _write(dataset, _labelled(), str(tmp_path))
  before = _bytes(tmp_path)
  with pytest.raises(errors.DataError, match="holds other batches: lanes was"):
    _write(dataset, _labelled(), str(tmp_path), lanes=2)
  assert _bytes(tmp_path) == before
  assert files.exists(str(tmp_path / layout.FILE_NAME))


def test_sizes_are_known_before_anything_is_written(
  dataset: Any, tmp_path: pathlib.Path
) -> None:
  made = _write(dataset, _labelled(), str(tmp_path))
  written = sum(len(data) for data in _bytes(tmp_path).values())
  assert made.num_bytes == 23 * 12 * (10 * 4 + 8 + 4 * dataset.max_labels)
  assert made.num_bytes < written
  with pytest.raises(errors.ConfigError, match="lanes must be positive"):
    _write(dataset, _labelled(), str(tmp_path / "other"), lanes=0)


def test_shards_that_nothing_describes_are_refused(write_dataset, tmp_path):
  dataset, output = write_dataset().open(), str(tmp_path / "batches")
  _write(dataset, _triplets(), output)
  pathlib.Path(output, layout.FILE_NAME).unlink()
  with pytest.raises(errors.DataError, match="nothing says of which batches"):
    _write(dataset, _triplets(), output)


def test_a_dataset_in_the_place_of_another_is_read_anew(
  write_dataset, tmp_path
):
  first = write_dataset(edges=_EDGES)
  _write(first.open(), _triplets(), str(tmp_path / "first"))
  shutil.rmtree(first.directory)
  second = write_dataset(edges=_EDGES[::2]).open()
  output = str(tmp_path / "second")
  _write(second, _triplets(), output)
  wanted = _triplets().batches(second, seed=_SEED, first_step=0).take(5)
  _assert_same(_read(second, output, 0, 5), list(wanted.as_numpy_iterator()))


def test_nothing_but_the_batches_stays_in_their_folder(write_dataset, tmp_path):
  output = tmp_path / "batches"
  _write(write_dataset().open(), _labelled(), str(output))
  names = {path.name.split(".")[0] for path in output.iterdir()}
  assert names == {"materialized", "part-00", "part-01", "part-02", "part-03"}


def test_a_shard_that_is_gone_is_made_again(write_dataset, tmp_path):
  dataset, output = write_dataset().open(), tmp_path / "batches"
  _write(dataset, _triplets(), str(output))
  shard = sorted(output.glob("part-*"))[3]
  whole = shard.read_bytes()
  shard.unlink()
  _write(dataset, _triplets(), str(output))
  assert shard.read_bytes() == whole
