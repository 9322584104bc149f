"""Windows with the factorisation vectors of their recordings."""

import pathlib
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors, files, keys, types
from music_embed.data import engines
from music_embed.data.mining import factors
from music_embed.data.pipeline import (
  factor_targets,
  layout,
  materialize,
  materialized,
)

_KNOWN = [0, 1, 2, 5, 9, 13]  # The last one is held out.


def _write_factors(directory: str, written: Any, **metadata: Any) -> np.ndarray:
  dataset = written.open()
  vectors = np.zeros((dataset.num_recordings, 3), np.float32)
  random = np.random.default_rng(0)
  vectors[_KNOWN] = 10.0 * random.normal(size=(len(_KNOWN), 3))
  files.make_dirs(directory)
  described = {"dataset": dataset.fingerprint, "graph": "train", **metadata}
  factors.write(directory, vectors, vectors, described)
  return vectors


@pytest.fixture
def written(write_dataset: Any) -> Any:
  return write_dataset()


@pytest.fixture
def directory(written: Any, tmp_path: pathlib.Path) -> str:
  path = str(tmp_path / "factors")
  _write_factors(path, written)
  return path


def _source(directory: str, **options: Any) -> Any:
  arguments = {"batch_windows": 12, "factors": directory} | options
  return factor_targets.FactorTargetSource(**arguments)


def _take(source: Any, dataset: Any, first_step: int, num: int) -> list[Any]:
  batches = source.batches(dataset, seed=1, first_step=first_step)
  return list(batches.take(num).as_numpy_iterator())


@pytest.mark.parametrize("unit_scale", [False, True])
def test_batches_hold_vectors_of_training_recordings_with_a_vertex(
  written: Any, directory: str, unit_scale: bool
) -> None:
  dataset = written.open()
  source = _source(directory, unit_scale=unit_scale)
  vectors = factors.load(directory, dataset.fingerprint).vectors
  known = _KNOWN[:-1]
  scale = 1.0
  if unit_scale:
    scale = np.square(vectors[known]).sum(axis=1).mean() ** -0.5
  found: set[int] = set()
  for batch in _take(source, dataset, 0, 10):
    recordings = batch[keys.RECORDING]
    found.update(recordings.tolist())
    np.testing.assert_allclose(
      batch[keys.CF_VECTOR], vectors[recordings] * scale, rtol=1e-5
    )
    for recording, window in zip(recordings, batch[keys.WINDOWS], strict=True):
      log_mel = written.log_mels[recording]
      starts = range(len(log_mel) - len(window) + 1)
      assert any((log_mel[s : s + len(window)] == window).all() for s in starts)
  assert found == set(known)


def test_the_scale_makes_the_mean_squared_norm_one() -> None:
  # Squared norms 25, 0 (left out) and 7: a mean of 16.
  vectors = np.array([[3.0, 4.0], [0.0, 0.0], [np.sqrt(7.0), 0.0]])
  assert factor_targets.scale_of(vectors, np.array([0, 2])) == pytest.approx(
    0.25
  )


def test_workers_share_the_same_global_batch(
  written: Any, directory: str
) -> None:
  dataset = written.open()
  source = _source(directory)
  whole = source.steps(dataset, seed=1).function(3)
  parts = [
    source.steps(dataset, seed=1, worker=types.Slice(k, 4)).function(3)
    for k in range(4)
  ]
  for name, expected in whole.items():
    joined = np.concatenate([part[name] for part in parts])
    np.testing.assert_array_equal(joined, expected)
  twice = source.scaled(2)
  assert twice.steps(dataset, seed=1).signature[keys.CF_VECTOR].shape == (24, 3)
  assert source.batch_windows == 12


def test_materialised_batches_are_the_same_from_any_step(
  written: Any, directory: str, tmp_path: pathlib.Path
) -> None:
  dataset, source = written.open(), _source(directory)
  output = str(tmp_path / "batches")
  made = layout.of_source(
    dataset,
    source,
    seed=1,
    steps=range(7),
    parts=2,
    lanes=2,
    steps_per_shard=2,
  )
  with engines.create("local", num_workers=1) as engine:
    materialize.materialize(dataset, source, made, output=output, engine=engine)
  read = materialized.MaterializedSource(paths=output, source=source)
  for one, other in zip(
    _take(source, dataset, 2, 5), _take(read, dataset, 2, 5), strict=True
  ):
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def test_what_decides_the_batches_is_described(
  written: Any, directory: str, tmp_path: pathlib.Path
) -> None:
  first = _source(directory).describe()
  assert first["kind"] == "factor_targets"
  assert first == _source(directory, num_parallel_calls=5).describe()
  assert first != _source(directory, unit_scale=False).describe()
  other = str(tmp_path / "other")
  vectors = _write_factors(other, written, seed=1)
  assert first == _source(other).describe()  # Whatever else is said of them.
  described = {"dataset": written.open().fingerprint, "graph": "train"}
  factors.write(other, vectors + 1.0, vectors, described)
  assert first != _source(other).describe()


@pytest.mark.parametrize(
  ("metadata", "culprit"),
  [
    ({"graph": "all"}, "of the whole graph"),
    ({"dataset": "another"}, "of another dataset"),
  ],
)
def test_factors_that_may_not_be_trained_on_are_refused(
  written: Any, tmp_path: pathlib.Path, metadata: Any, culprit: str
) -> None:
  path = str(tmp_path / "wrong")
  _write_factors(path, written, **metadata)
  with pytest.raises(errors.ConfigError, match=culprit):
    _source(path).steps(written.open(), seed=0)


def test_factors_without_a_training_vertex_are_refused(
  written: Any, tmp_path: pathlib.Path
) -> None:
  dataset = written.open()
  path = str(tmp_path / "empty")
  files.make_dirs(path)
  nothing = np.zeros((dataset.num_recordings, 3), np.float32)
  factors.write(
    path, nothing, nothing, {"dataset": dataset.fingerprint, "graph": "train"}
  )
  with pytest.raises(errors.DataError, match="no training recording has a"):
    _source(path).steps(dataset, seed=0)
