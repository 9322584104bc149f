"""Stages that regress factorisation vectors: trained, read, exported."""

import csv
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from music_embed.audio import decode
from music_embed.core import errors, files
from music_embed.data.mining import factors
from music_embed.data.pipeline import factor_targets, labelled
from music_embed.data.records import prepared
from music_embed.evaluation import systems
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import cf_regression as cf_head
from music_embed.models.heads import projection
from music_embed.objectives import cf_regression
from music_embed.runs import compared, export, restore
from music_embed.runs import factorize as factorize_run
from music_embed.training import history, optimizers, task

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _factorize(dataset: str, output: str, graph: str = "train") -> str:
  factorize_run.factorize(
    dataset=dataset, output=output, num_factors=2, graph=graph
  )
  return output


@pytest.fixture(scope="module")
def directory(tiny_dataset, tmp_path_factory):
  return _factorize(tiny_dataset, str(tmp_path_factory.mktemp("factors") / "f"))


def _run(dataset, workdir, directory, *, num_factors=None, source=None):
  embedder = embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.125),
    projection=projection.Projection(dim=8),
    cf_head=cf_head.CfRegressionHead(num_factors=num_factors),
  )
  source = source or factor_targets.FactorTargetSource(
    batch_windows=4, factors=directory
  )
  tiny_runs.run(
    dataset,
    workdir,
    steps=2,
    embedder=embedder,
    tasks=[task.Task(cf_regression.CfRegressionObjective(), source)],
    optimizers=[optimizers.PartOptimizer((*tiny_runs.NETWORK, "cf_head"), 0.1)],
  )


def test_the_head_is_as_wide_as_the_factors_and_is_validated(
  tiny_dataset, directory, tmp_path
):
  _run(tiny_dataset, tmp_path, directory)
  rows = history.read(str(tmp_path / "history.jsonl"))
  trained = next(row for row in rows if row["split"] == "train")
  assert {
    "cf_regression/loss",
    "cf_regression/explained_variance",
    "gradient_norm/cf_head",
  } <= trained.keys()
  validated = next(row for row in rows if row["split"] == "validation")
  assert {"link_ap", "cf_link_ap", "cf_link_auc"} <= validated.keys()
  bias = "parts/cf_head/bias/.ATTRIBUTES/VARIABLE_VALUE"
  assert tiny_runs.variables(tmp_path)[bias].shape == (2,)


def test_factors_of_the_whole_graph_are_not_trained_on(tiny_dataset, tmp_path):
  whole = _factorize(tiny_dataset, str(tmp_path / "factors"), "all")
  with pytest.raises(errors.ConfigError, match="of the whole graph") as raised:
    _run(tiny_dataset, tmp_path / "run", whole)
  assert "\n" not in str(raised.value)
  assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_factors_that_it_was_begun_with(
  tiny_dataset, directory, tmp_path
):
  made = str(tmp_path / "factors")
  shutil.copytree(directory, made)
  _run(tiny_dataset, tmp_path / "run", directory)
  _run(tiny_dataset, tmp_path / "run", made)  # The same, elsewhere.
  factorize_run.factorize(
    dataset=tiny_dataset, output=made, num_factors=2, seed=1
  )
  with pytest.raises(errors.ConfigError, match="begun with other factors"):
    _run(tiny_dataset, tmp_path / "run", made)


def test_targets_that_do_not_fit_are_named_before_anything_is_written(
  tiny_dataset, directory, tmp_path
):
  workdir = tmp_path / "run"
  with pytest.raises(errors.ConfigError, match="is 5, but the factors have 2"):
    _run(tiny_dataset, workdir, directory, num_factors=5)
  other = str(tmp_path / "other")
  shutil.copytree(directory, other)
  path = files.join(other, factors.FILE_NAME)
  files.write_json(path, files.read_json(path) | {"dataset": "another"})
  with pytest.raises(errors.ConfigError, match="of another dataset"):
    _run(tiny_dataset, workdir, other)
  with pytest.raises(errors.ConfigError, match="nowhere: no such folder"):
    _run(tiny_dataset, workdir, "nowhere")
  source = labelled.LabelledSource(batch_windows=4)
  with pytest.raises(errors.ConfigError, match="bind a FactorTargetSource"):
    _run(tiny_dataset, workdir, directory, source=source)
  assert not workdir.exists()


@pytest.fixture(scope="module")
def cf_label(tiny_dataset, directory, tmp_path_factory):
  """A run of the demo's gin file, for two steps."""
  return tiny_runs.run_gin(
    "gin/runs/demo_cf_label.gin",
    tiny_dataset,
    tmp_path_factory.mktemp("cf_label"),
    f"FACTORS = {directory!r}",
    "TRAIN_STEPS = 2",
    "BATCH_WINDOWS = 4",
    "small_cnn.SmallCNN.width_multiplier = 0.25",
    "loop.LoopOptions.summary_steps = 1",
    "loop.LoopOptions.validation_steps = 2",
  )


def test_both_losses_train_in_one_run(cf_label):
  rows = history.read(f"{cf_label}/history.jsonl")
  assert {"cf_regression/loss", "label_softmax/loss"} <= rows[0].keys()
  assert rows[0]["gradient_norm/cf_head"] > 0.0
  assert rows[0]["gradient_norm/label_head"] > 0.0


def test_an_export_reads_a_recording_as_evaluation_does(
  cf_label, tiny_dataset, tiny_corpus, tmp_path
):
  data = prepared.PreparedDataset(tiny_dataset)
  recordings = compared.sampled_recordings(data, 10, 100, seed=0)
  system = compared.network_system(
    data,
    restore.load_embedder(cf_label, data),
    recordings,
    name="cf_label",
    label_ids=np.arange(2),
    batch_windows=16,
    say=lambda text: None,
  )
  assert list(systems.read_outs(system)) == ["raw", "z_scored", "predicted_cf"]
  assert system.link_read_out == "predicted_cf"
  export.export(
    model=cf_label,
    dataset=tiny_dataset,
    output=str(tmp_path / "export"),
    read_outs=["z_scored", "predicted_cf"],
  )
  card = files.read_json(str(tmp_path / "export" / "model.json"))
  embed = tf.saved_model.load(str(tmp_path / "export")).signatures["embed"]
  with open(f"{tiny_corpus}/recordings.csv", encoding="utf-8") as file:
    rows = {row["recording_id"]: row for row in csv.DictReader(file)}
  for place, index in enumerate(recordings.evaluation[:2]):
    audio = f"{tiny_corpus}/{rows[data.recording_ids[index]]['audio']}"
    outputs = embed(waveform=tf.constant(decode.decode(audio).waveform))
    for kind, parts in systems.read_outs(system).items():
      # The dataset holds log-mels of 8 bits, the export makes its own.
      found = outputs[card["read_outs"][kind]].numpy()
      expected = parts.evaluation[place]
      scale = np.abs(parts.evaluation).max()
      np.testing.assert_allclose(found, expected, atol=0.05 * scale)


def test_read_outs_that_a_network_lacks_are_named(
  cf_label, tiny_dataset, tmp_path
):
  with pytest.raises(
    errors.ConfigError, match="--read_out=best: choose of raw"
  ):
    export.export(
      model=cf_label,
      dataset=tiny_dataset,
      output=str(tmp_path / "export"),
      read_outs=["best"],
    )
