"""Tests of music_embed.runs.factorize on a graph of communities."""

import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from music_embed.core import errors, files, types
from music_embed.data.mining import factorize as factorize_lib
from music_embed.data.mining import factors as factors_lib
from music_embed.data.mining import fold_in
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import manifest, prepared, schema, writer
from music_embed.runs import factorize

_SPLITS = {"train": 60, "validation": 20, "evaluation": 20}
_NUM = sum(_SPLITS.values())
_ALONE = (7, 65)
"""Recordings without an edge, one of them of the validation part."""


def _graph(
  keep: Callable[[int, int], bool] = lambda i, j: True,
) -> graph_lib.Graph:
  random = np.random.default_rng(0)
  group = np.arange(_NUM) % 4
  likely = np.where(group[:, None] == group[None], 0.5, 0.05)
  likely[_ALONE, :] = likely[:, _ALONE] = 0.0
  pairs = np.argwhere(np.triu(random.random((_NUM, _NUM)) < likely, k=1))
  pairs = np.array([p for p in pairs.tolist() if keep(*p)]).reshape(-1, 2)
  return graph_lib.Graph.from_edges(
    _NUM, pairs[:, 0], pairs[:, 1], np.full(len(pairs), 3)
  )


def _write_dataset(directory: str, graph: graph_lib.Graph) -> str:
  files.make_dirs(directory)
  silence = np.zeros((300, 64), np.uint8)
  entries: list[manifest.FileEntry] = []
  start = 0
  for split, size in _SPLITS.items():
    records = [
      schema.RecordingRecord(f"id{i}", "title", "", np.zeros(0, int), silence)
      for i in range(start, start + size)
    ]
    name = files.shard_name(split, 0, 1)
    entries += writer.write_recordings(directory, name, records)
    start += size
  entries += writer.write_graph(directory, graph, vertices_per_shard=100)
  entries.append(writer.write_vocabulary(directory, ["word"], [9]))
  manifest.Manifest(
    front_end=types.LogMelFrontEnd(),
    quantization=types.Quantization.default(types.LogMelFrontEnd()),
    seed=0,
    options={},
    inputs={},
    splits=_SPLITS,
    counts={"labels": 1},
    files=tuple(entries),
  ).save(directory)
  return directory


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
  return _write_dataset(str(tmp_path_factory.mktemp("communities")), _graph())


def _bytes(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    path.name: path.read_bytes()
    for path in directory.iterdir()
    if not path.name.startswith(".")
  }


def test_held_out_recordings_are_folded_into_the_training_graph(
  dataset: str, tmp_path: pathlib.Path
) -> None:
  made = factorize.factorize(
    dataset=dataset, output=str(tmp_path), num_factors=8, seed=3
  )
  data = prepared.PreparedDataset(dataset)
  sides = factorize_lib.sides(data.graph("train"), num_factors=8, seed=3)
  known = data.split_range("train")
  held_out = np.arange(known.stop, _NUM)
  folded = fold_in.fold_in(data.graph(None), held_out, sides.other, known=known)
  np.testing.assert_array_equal(made.vectors[:60], sides.vectors[:60])
  np.testing.assert_array_equal(made.vectors[60:], folded)
  np.testing.assert_array_equal(made.other_side, sides.other)
  np.testing.assert_array_equal(np.flatnonzero(~made.has_vertex), _ALONE)


def test_edges_among_held_out_recordings_change_no_vector(
  dataset: str, tmp_path: pathlib.Path
) -> None:
  """Only the number of factors is chosen by them."""
  without = _write_dataset(
    str(tmp_path / "without"), _graph(lambda i, j: i < 60)
  )
  one, same = (
    factorize.factorize(
      dataset=directory, output=str(tmp_path / name), num_factors=8
    )
    for name, directory in (("one", dataset), ("same", without))
  )
  np.testing.assert_array_equal(one.vectors, same.vectors)


def test_all_of_the_graph_is_the_bound(
  dataset: str, tmp_path: pathlib.Path
) -> None:
  made = factorize.factorize(
    dataset=dataset, output=str(tmp_path), num_factors=8, graph="all", seed=3
  )
  whole = prepared.PreparedDataset(dataset).graph(None)
  np.testing.assert_array_equal(
    made.vectors, factorize_lib.factorize(whole, num_factors=8, seed=3)
  )


def test_the_validation_part_chooses_the_number_of_factors(
  dataset: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  made = factorize.factorize(
    dataset=dataset, output=str(tmp_path), num_factors=(2, 4, 16)
  )
  table = made.metadata["validation"]
  assert [row["num_factors"] for row in table] == [2, 4, 16]
  best = max(table, key=lambda row: row["ap"])
  assert made.metadata["num_factors"] == best["num_factors"]
  assert made.vectors.shape == (_NUM, best["num_factors"])
  shown = capsys.readouterr()
  (marked,) = [x for x in shown.out.splitlines() if x.endswith("<- chosen")]
  assert marked.split()[0] == str(best["num_factors"])
  assert "GB per million recordings" in shown.err


def test_a_second_run_is_passed_over_and_another_gives_the_same_bytes(
  dataset: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  first, second = tmp_path / "first", tmp_path / "second"
  for output, num_threads in ((first, 1), (second, 2)):
    factorize.factorize(
      dataset=dataset,
      output=str(output),
      num_factors=(2, 4),
      num_threads=num_threads,
    )
  assert _bytes(first) == _bytes(second)
  table = capsys.readouterr().out
  before = (first / "vectors.npy").stat().st_mtime_ns
  factorize.factorize(dataset=dataset, output=str(first), num_factors=(2, 4))
  shown = capsys.readouterr()
  assert "already factorised" in shown.err
  assert shown.out * 2 == table
  assert (first / "vectors.npy").stat().st_mtime_ns == before


def test_other_arguments_or_damage_are_made_anew(
  dataset: str, tmp_path: pathlib.Path
) -> None:
  def run(seed: int) -> factors_lib.Factors:
    return factorize.factorize(
      dataset=dataset, output=str(tmp_path), num_factors=4, seed=seed
    )

  one = np.array(run(1).vectors)
  assert np.abs(run(2).vectors - one).max() > 0
  (tmp_path / "vectors.npy").write_bytes(b"damaged")
  np.testing.assert_array_equal(run(1).vectors, one)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"num_factors": 0}, "num_factors=0: must be at least 1"),
    ({"num_factors": (4, -1)}, "num_factors=-1: must be at least 1"),
    ({"num_factors": ()}, "num_factors is empty"),
    ({"num_factors": 60}, "num_factors=60: only 59 recordings have edges"),
    ({"iterations": 0}, "iterations=0: must be at least 1"),
    ({"graph": "whole"}, 'graph=\'whole\': must be "train" or "all"'),
    ({"engine": "beam"}, "--engine=beam"),
    ({"output": "gs://bucket/factors"}, "must be on a local disk"),
  ],
)
def test_a_wrong_setting_is_named_before_anything_is_written(
  dataset: str,
  tmp_path: pathlib.Path,
  settings: dict[str, object],
  message: str,
) -> None:
  output = tmp_path / "factors"
  arguments: dict[str, object] = {"dataset": dataset, "output": str(output)}
  with pytest.raises(errors.ConfigError, match=message.replace("(", r"\(")):
    factorize.factorize(**(arguments | settings))  # type: ignore[arg-type]
  assert not output.exists()


def test_a_graph_without_edges_is_refused(tmp_path: pathlib.Path) -> None:
  empty = _write_dataset(str(tmp_path / "empty"), _graph(lambda i, j: i >= 60))
  output = tmp_path / "factors"
  with pytest.raises(errors.DataError, match="no edges to factorise"):
    factorize.factorize(dataset=empty, output=str(output), num_factors=2)
  assert not output.exists()


def test_several_numbers_need_validation_edges_to_choose_by(
  tmp_path: pathlib.Path,
) -> None:
  directory = _write_dataset(
    str(tmp_path / "dataset"), _graph(lambda i, j: i < 60)
  )
  output = str(tmp_path / "factors")
  with pytest.raises(errors.ConfigError, match="give one number"):
    factorize.factorize(dataset=directory, output=output, num_factors=(2, 4))
  made = factorize.factorize(dataset=directory, output=output, num_factors=2)
  assert made.metadata["validation"] == []


def test_vectors_of_another_dataset_are_refused(
  dataset: str, tmp_path: pathlib.Path
) -> None:
  other = str(tmp_path / "other")
  shutil.copytree(dataset, other, ignore=shutil.ignore_patterns("cache"))
  path = pathlib.Path(other) / manifest.FILE_NAME
  path.write_text(path.read_text() + "\n")
  output = str(tmp_path / "factors")
  factorize.factorize(dataset=dataset, output=output, num_factors=2)
  with pytest.raises(errors.ConfigError, match="another dataset"):
    factors_lib.load(output, prepared.PreparedDataset(other).fingerprint)
