"""Tests of music_embed.runs.senses on the tiny catalogue."""

import os
import pathlib
import shutil

import numpy as np
import pytest
import tiny_runs

from music_embed.core import errors, files
from music_embed.data.mining import factors as factors_lib
from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import prepared, sense_labels
from music_embed.runs import (
  head_fit,
  sense_choice,
  senses,
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tiny_dataset):
  return prepared.PreparedDataset(tiny_dataset)


@pytest.fixture(scope="module")
def model(tiny_dataset, tmp_path_factory):
  return tiny_runs.run_gin(
    "gin/runs/demo_triplet.gin",
    tiny_dataset,
    tmp_path_factory.mktemp("senses") / "run",
    "TRAIN_STEPS = 1",
    "BATCH_TRIPLETS = 4",
    "loop.LoopOptions.validation_steps = 1",
  )


def _write_factors(directory, data, without=()):
  """Two opposed groups, by even and odd index."""
  rng = np.random.default_rng(0)
  vectors = 0.1 * rng.standard_normal((data.num_recordings, 4))
  vectors[::2, 0] += 1.0
  vectors[1::2, 0] -= 1.0
  vectors[list(without)] = 0.0
  return _written(str(directory), vectors.astype(np.float32), data)


def _written(directory, vectors, data):
  files.make_dirs(directory)
  factors_lib.write(directory, vectors, vectors, {"dataset": data.fingerprint})
  return directory


@pytest.fixture(scope="module")
def factors(data, tmp_path_factory):
  return _write_factors(
    tmp_path_factory.mktemp("senses") / "factors", data, without=(3,)
  )


@pytest.fixture
def split(data, factors, model, tmp_path):
  def call(output="senses", **changes):
    arguments = {
      "dataset": data.directory,
      "factors": factors,
      "output": str(tmp_path / output),
      "model": model,
      "embeddings": os.path.join(model, "stored"),
      "num_clusters": (2, 3),
      "splitting": senses_lib.SenseOptions(min_recordings=2),
      "choosing": sense_choice.Choosing(
        fit=head_fit.FitOptions(train_steps=20, batch=8),
        num_shuffles=2,
        min_occurrences=1,
      ),
    }
    return senses.senses(**(arguments | changes))

  return call


def _contents(directory):
  names = ["senses.json", *files.read_json(f"{directory}/senses.json")["files"]]
  return {name: pathlib.Path(directory, name).read_bytes() for name in names}


def test_one_number_of_clusters_needs_no_model(split, data):
  made = split(num_clusters=2, model=None)
  assert made.metadata["table"] == []
  assert made.num_clusters == 2
  found = made.recording_cluster
  assert found[3] == -1
  assert len(set(found[::2].tolist())) == 1
  seen = sense_labels.relabel(data, made.directory)
  split_terms = set(made.plain[made.cluster >= 0].tolist())
  assert split_terms
  for index in range(data.num_recordings):
    plain = made.plain[seen.label_ids(index)]
    assert sorted(plain.tolist()) == data.label_ids(index).tolist()


def test_the_largest_gain_over_shuffled_clusters_is_chosen(split, capsys):
  made = split()
  table = made.metadata["table"]
  assert [row["num_clusters"] for row in table] == [2, 3]
  for row in table:
    gain = row["auc_summed"] - row["auc_shuffled"]
    assert row["gain"] == pytest.approx(gain, abs=2e-6)
    assert row["auc_unsplit"] == table[0]["auc_unsplit"]
    assert row["others"]["auc_summed"] is not None
  best = max(table, key=lambda row: row["gain"])
  assert made.num_clusters == best["num_clusters"]
  printed = capsys.readouterr().out
  (marked,) = [line for line in printed.splitlines() if " * " in line]
  assert marked.split()[0] == str(made.num_clusters)


def test_a_second_run_gives_the_same_bytes_and_a_finished_one_is_passed_over(
  split, capsys
):
  first = _contents(split("first").directory)
  assert _contents(split("second").directory) == first
  capsys.readouterr()
  made = split("second")
  assert "split already" in capsys.readouterr().err
  assert _contents(made.directory) == first


def test_an_interrupted_choice_goes_on(split, monkeypatch):
  whole = _contents(split("whole").directory)
  row, calls = sense_choice.sense_table.row, []

  def stops(**kwargs):
    calls.append(kwargs["num_clusters"])
    if calls == [2, 3]:
      raise KeyboardInterrupt
    return row(**kwargs)

  monkeypatch.setattr(sense_choice.sense_table, "row", stops)
  with pytest.raises(KeyboardInterrupt):
    split()
  assert _contents(split().directory) == whole
  assert calls == [2, 3, 3]


def test_other_arguments_split_again(split):
  assert split(num_clusters=2, model=None).num_clusters == 2
  assert split(num_clusters=3, model=None).num_clusters == 3


def test_several_numbers_need_a_model(split):
  with pytest.raises(errors.ConfigError, match="--model is not set"):
    split(model=None)


def test_more_clusters_than_vertices_are_refused_before_any_fit(split, data):
  most = data.manifest.splits["train"]
  with pytest.raises(errors.ConfigError, match=rf"= {most}: only .* vertex"):
    split(num_clusters=(2, most))


def test_a_cluster_of_one_recording_is_refused(split, data, factors, tmp_path):
  vectors = np.load(os.path.join(factors, factors_lib.VECTORS))
  vectors[0] = [0.0, 0.0, 0.0, 9.0]
  alone = _written(str(tmp_path / "alone"), vectors, data)
  with pytest.raises(errors.ConfigError, match="holds one recording only"):
    split(num_clusters=3, factors=alone)


def test_factors_of_another_dataset_are_refused(split, factors, tmp_path):
  other = str(tmp_path / "other")
  shutil.copytree(factors, other)
  path = os.path.join(other, factors_lib.FILE_NAME)
  files.write_json(path, files.read_json(path) | {"dataset": "0" * 64})
  with pytest.raises(errors.MusicEmbedError, match="another dataset"):
    split(factors=other)


def test_a_graph_without_vertices_is_refused(split, data, tmp_path):
  empty = _write_factors(
    tmp_path / "empty", data, without=range(data.num_recordings)
  )
  with pytest.raises(errors.DataError, match="no training recording has a v"):
    split(factors=empty, num_clusters=2)
