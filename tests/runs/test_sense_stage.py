"""Labels or senses on stored embeddings of a frozen network, from gin on."""

import json
import os
import pathlib
import shutil
import signal
import time
import types

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from music_embed.core import errors, files
from music_embed.data.mining import senses
from music_embed.data.pipeline import labelled, materialized
from music_embed.data.records import embedding_store, prepared, sense_labels
from music_embed.evaluation import label_prediction
from music_embed.evaluation.systems import Parts
from music_embed.models import inference
from music_embed.models.heads import label_softmax
from music_embed.runs import (
  compared,
  embedding_cache,
  export,
  head_fit,
  label_columns,
  materialize,
  restore,
  validation,
)
from music_embed.training import (
  history,
  interruption,
  optimizers,
  task,
  warm_start,
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_KERNEL = "parts/label_head/kernel/.ATTRIBUTES/VARIABLE_VALUE"
_STEPS = 4


def _train(gin_file, dataset, workdir, *params, strategy=None, **changes):
  if strategy is not None:
    changes["strategy"] = types.SimpleNamespace(create=lambda: strategy)
  tiny_runs.run_gin(
    gin_file,
    dataset,
    workdir,
    f"TRAIN_STEPS = {_STEPS}",
    "BATCH_WINDOWS = 8",
    "loop.LoopOptions.summary_steps = 2",
    "loop.LoopOptions.validation_steps = 2",
    "validation.Validation.min_occurrences = 1",
    *params,
    **changes,
  )


@pytest.fixture(scope="module", autouse=True)
def checkout():
  with pytest.MonkeyPatch.context() as context:
    context.chdir(_ROOT)
    yield


@pytest.fixture(scope="module")
def label_run(tiny_dataset, tmp_path_factory):
  workdir = str(tmp_path_factory.mktemp("label"))
  _train("gin/runs/demo_label_only.gin", tiny_dataset, workdir)
  return workdir


def _write_senses(directory, data, seed=0):
  """Two clusters that recordings fall into by chance; some are in none."""
  clusters = np.random.default_rng(seed).integers(-1, 2, data.num_recordings)
  split = senses.split_labels(
    *data.labels_csr,
    data.vocabulary,
    clusters.astype(np.int32),
    data.split_range("train"),
    senses.SenseOptions(min_recordings=1),
  )
  sense_labels.write(directory, split, clusters.astype(np.int32), data, {})


@pytest.fixture(scope="module")
def data(tiny_dataset):
  return prepared.PreparedDataset(tiny_dataset)


@pytest.fixture(scope="module")
def sense_directory(data, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp("senses"))
  _write_senses(directory, data)
  return directory


@pytest.fixture(scope="module")
def stage(tiny_dataset, label_run, sense_directory):
  """Trains the stage in a directory, as told."""

  def run(workdir, *params, senses=sense_directory, **changes):
    _train(
      "gin/runs/demo_sense.gin",
      tiny_dataset,
      workdir,
      f"WARM_START = {label_run!r}",
      f"SENSES = {senses!r}",
      *params,
      **changes,
    )

  return run


@pytest.fixture(scope="module")
def sense_run(stage, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("sense")
  stage(workdir)
  return workdir


def _rows(workdir):
  return history.read(str(workdir / "history.jsonl"))


def _network(values):
  prefixes = ("parts/backbone/", "parts/projection/")
  return {k: v for k, v in values.items() if k.startswith(prefixes)}


def test_it_trains_the_head_alone(sense_run, label_run, sense_directory, data):
  before = tf.train.load_checkpoint(
    restore.checkpoint_of(label_run, "best")
  ).get_tensor("parts/projection/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE")
  after = tiny_runs.variables(sense_run)
  np.testing.assert_array_equal(
    after["parts/projection/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE"], before
  )
  assert embedding_cache.network_sha256(
    restore.checkpoint_of(label_run, "best")
  ) == embedding_cache.network_sha256(
    restore.checkpoint_of(str(sense_run), "last")
  )
  relabelled = sense_labels.relabel(data, sense_directory)
  assert len(relabelled.vocabulary) > len(data.vocabulary)
  assert after[_KERNEL].shape[0] == len(relabelled.vocabulary)
  trained = [row for row in _rows(sense_run) if row["split"] == "train"]
  losses = [row["label_softmax/loss"] for row in trained]
  assert losses[-1] < losses[0]
  assert "gradient_norm/backbone" not in trained[0]


def test_its_embeddings_are_kept_and_are_the_label_stages(
  sense_run, label_run, data, tmp_path
) -> None:
  kept = embedding_store.load(str(sense_run / "embeddings"), data.fingerprint)
  other = embedding_cache.ensure(
    str(tmp_path / "store"), model=label_run, data=data
  )
  assert kept.metadata["key"] == other.metadata["key"]
  np.testing.assert_allclose(kept.embeddings, other.embeddings, atol=1e-6)


def test_validation_sums_senses_on_the_labels_that_are_not_split(
  sense_run, data, sense_directory
) -> None:
  relabelled = sense_labels.relabel(data, sense_directory)
  values = tiny_runs.variables(sense_run)
  head = head_fit.FittedHead(
    values[_KERNEL], values[_KERNEL.replace("kernel", "bias")]
  )
  store = embedding_store.load(str(sense_run / "embeddings"), data.fingerprint)
  part = np.asarray(data.split_range("validation"))
  scores = head.summed_posteriors(
    store, part, relabelled.sense_labels.plain, len(data.vocabulary)
  )
  targets = label_prediction.targets_of(
    *data.labels_csr, part, len(data.vocabulary)
  ).toarray()
  expected = label_prediction.mean_auc(targets > 0, scores)
  measured = [row for row in _rows(sense_run) if row["split"] == "validation"]
  assert measured[-1]["label_auc"] == pytest.approx(expected, abs=1e-6)
  assert set(measured[-1]) == {"step", "split", "label_auc"}
  np.testing.assert_array_equal(
    label_columns.unsplit_targets(relabelled, part).toarray(), targets
  )


def test_plain_labels_can_be_trained_so_too(stage, data, tmp_path) -> None:
  stage(tmp_path, senses=None)
  assert tiny_runs.variables(tmp_path)[_KERNEL].shape[0] == len(data.vocabulary)
  assert restore.dataset_of(str(tmp_path), data) is data


def test_recordings_means_can_be_kept_in_place_of_windows(
  stage, data, tmp_path
) -> None:
  stage(tmp_path, "embedding_cache.CachedEmbeddings.granularity = 'recordings'")
  kept = embedding_store.load(str(tmp_path / "embeddings"), data.fingerprint)
  assert len(kept.embeddings) == data.num_recordings
  assert (tmp_path / "finished.json").exists()


def test_on_two_replicas_it_comes_to_the_same_up_to_rounding(
  stage, sense_run, mirrored, tmp_path
) -> None:
  stage(tmp_path, strategy=mirrored(2))
  for row, expected in zip(_rows(tmp_path), _rows(sense_run), strict=True):
    assert row.keys() == expected.keys()
    for name, value in expected.items():
      if name != "split":
        assert row[name] == pytest.approx(value, rel=1e-3)
  np.testing.assert_allclose(
    tiny_runs.variables(tmp_path)[_KERNEL],
    tiny_runs.variables(sense_run)[_KERNEL],
    atol=2e-3,
  )


class _SignalWhileValidating:
  """A validation during which SIGTERM comes once."""

  def __init__(self, inner):
    self._inner = inner

  def measure(self, data, **kwargs):
    inner = self._inner.measure(data, **kwargs)

    def measure(embedder, should_stop):
      os.kill(os.getpid(), signal.SIGTERM)
      while not should_stop():
        time.sleep(0.01)
      return inner(embedder, should_stop)

    return measure


def _assert_same(workdir, other):
  tiny_runs.assert_equal(
    tiny_runs.variables(workdir), tiny_runs.variables(other)
  )
  assert _rows(workdir) == _rows(other)
  name = "embeddings/embeddings.npy"
  assert (workdir / name).read_bytes() == (other / name).read_bytes()


def test_interrupted_while_training_it_goes_on_to_the_same_bits(
  stage, sense_run, tmp_path
) -> None:
  own = validation.Validation(min_occurrences=1)
  with pytest.raises(interruption.Interrupted, match="stopped at step 2"):
    stage(tmp_path, validation=_SignalWhileValidating(own))
  # The network is then the run's own: neither the warm start nor, where they
  # were deleted meanwhile, the embeddings are needed.
  shutil.rmtree(tmp_path / "embeddings")
  stage(tmp_path)
  _assert_same(tmp_path, sense_run)


def test_interrupted_while_embedding_it_goes_on_to_the_same_bits(
  stage, sense_run, tmp_path, monkeypatch
) -> None:
  monkeypatch.setattr(embedding_cache, "_BATCHES_OF_PART", 1)
  own = inference.RecordingEmbedder.windows

  def signalling(runner, recordings):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    return own(runner, recordings)

  with monkeypatch.context() as context:
    context.setattr(inference.RecordingEmbedder, "windows", signalling)
    with pytest.raises(interruption.Interrupted, match="while embedding"):
      stage(tmp_path, "embedding_cache.CachedEmbeddings.batch_windows = 8")
  assert (tmp_path / "embeddings" / "progress.json").exists()
  stage(tmp_path, "embedding_cache.CachedEmbeddings.batch_windows = 8")
  whole, cut = (
    embedding_store.load(
      str(each / "embeddings"),
      files.read_json(str(each / "run.json"))["dataset"],
    )
    for each in (sense_run, tmp_path)
  )
  np.testing.assert_allclose(cut.embeddings, whole.embeddings, atol=1e-6)
  assert (tmp_path / "finished.json").exists()


def test_its_network_is_read_with_a_plain_head_over_its_senses(
  sense_run, data, sense_directory
) -> None:
  model = restore.load_embedder(str(sense_run), data, "last")
  assert type(model.label_head) is label_softmax.LabelSoftmaxHead
  kernel = tiny_runs.variables(sense_run)[_KERNEL]
  np.testing.assert_array_equal(model.label_head.kernel, kernel)
  seen = restore.dataset_of(str(sense_run), data)
  relabelled = sense_labels.relabel(data, sense_directory)
  assert seen.vocabulary == relabelled.vocabulary
  assert restore.dataset_of(str(sense_run), seen) is seen


def test_its_senses_are_found_beside_it_when_both_have_moved(
  sense_run, data, sense_directory, tmp_path
) -> None:
  moved = tmp_path / "run"
  shutil.copytree(sense_run, moved)
  name = os.path.basename(sense_directory)
  config_path = moved / "config.gin"
  text = config_path.read_text()
  config_path.write_text(text.replace(sense_directory, f"elsewhere/{name}"))
  with pytest.raises(errors.ConfigError, match="holds no sense labels"):
    restore.dataset_of(str(moved), data)
  shutil.copytree(sense_directory, tmp_path / name)
  seen = restore.dataset_of(str(moved), data)
  assert seen.vocabulary == restore.dataset_of(str(sense_run), data).vocabulary


def test_evaluation_scores_labels_by_all_their_senses(
  sense_run, data, sense_directory
) -> None:
  part = np.asarray(data.split_range("validation"))
  label_ids = np.array([3, 0, 11])
  system = compared.network_system(
    restore.dataset_of(str(sense_run), data),
    restore.load_embedder(str(sense_run), data, "last"),
    Parts(part[:1], part[:1], part),
    name="sense",
    label_ids=label_ids,
    batch_windows=8,
    say=lambda text: None,
  )
  values = tiny_runs.variables(sense_run)
  head = head_fit.FittedHead(
    values[_KERNEL], values[_KERNEL.replace("kernel", "bias")]
  )
  scores = head.summed_posteriors(
    embedding_store.load(str(sense_run / "embeddings"), data.fingerprint),
    part,
    sense_labels.relabel(data, sense_directory).sense_labels.plain,
    len(data.vocabulary),
  )
  np.testing.assert_allclose(
    system.label_scores, scores[:, label_ids], rtol=1e-4
  )


def test_an_export_names_the_senses(
  sense_run, tiny_dataset, sense_directory, data, tmp_path
) -> None:
  output = tmp_path / "export"
  export.export(model=str(sense_run), dataset=tiny_dataset, output=str(output))
  vocabulary = sense_labels.relabel(data, sense_directory).vocabulary
  card = json.loads((output / "model.json").read_text())
  assert card["num_labels"] == len(vocabulary)
  label = tf.saved_model.load(str(output)).signatures["label"]
  outputs = label(waveform=tf.zeros([1, 60_000]))
  named = [text.decode() for text in outputs["labels"].numpy().ravel()]
  assert set(named) <= set(vocabulary)
  assert not set(named) <= set(data.vocabulary)


def _one_line(raised):
  assert "\n" not in str(raised.value)
  return str(raised.value)


def test_senses_of_another_dataset_are_refused(stage, data, tmp_path) -> None:
  foreign = tmp_path / "senses"
  _write_senses(str(foreign), data)
  path = str(foreign / "senses.json")
  files.write_json(path, files.read_json(path) | {"dataset": "0" * 64})
  with pytest.raises(errors.ConfigError) as raised:
    stage(tmp_path / "run", senses=str(foreign))
  assert "senses of another dataset" in _one_line(raised)
  assert not (tmp_path / "run").exists()


def test_batches_that_hold_plain_labels_are_refused(
  stage, tiny_dataset, sense_directory, tmp_path
) -> None:
  source = materialized.MaterializedSource(paths=str(tmp_path / "batches"))
  with pytest.raises(errors.ConfigError) as raised:
    stage(tmp_path / "run", tasks=[task.Task(object(), source)])
  assert "MaterializedSource" in _one_line(raised)
  with pytest.raises(errors.ConfigError) as raised:
    materialize.materialize(
      output=str(tmp_path / "batches"),
      dataset=tiny_dataset,
      tasks=[],
      senses=sense_directory,
      num_steps=1,
    )
  assert "batches of senses cannot be materialised" in _one_line(raised)


def test_senses_that_are_gone_or_others_now_are_named(
  stage, data, tmp_path
) -> None:
  own, workdir = tmp_path / "senses", str(tmp_path / "run")
  _write_senses(str(own), data)
  stage(workdir, senses=str(own))
  shutil.rmtree(own)
  with pytest.raises(errors.ConfigError) as raised:
    restore.load_embedder(workdir, data)
  assert "holds no sense labels" in _one_line(raised)
  _write_senses(str(own), data, seed=1)
  for use in (
    lambda: restore.load_embedder(workdir, data),
    lambda: stage(workdir, senses=str(own)),
  ):
    with pytest.raises(errors.ConfigError) as raised:
      use()
    assert "other sense labels than those there are now" in _one_line(raised)


def test_a_warm_start_without_a_network_is_refused(stage, tmp_path) -> None:
  empty = str(tmp_path / "empty")
  with pytest.raises(errors.ConfigError) as raised:
    stage(tmp_path / "run", f"WARM_START = {empty!r}")
  assert f"{empty}/best: no checkpoint" in _one_line(raised)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"warm_start": None}, "takes over no backbone and no projection"),
    (
      {"warm_start": warm_start.WarmStart("run", ("backbone",))},
      "takes over no projection",
    ),
    (
      {"optimizers": [optimizers.PartOptimizer(("projection",), 1e-3)]},
      "'projection' has an optimiser",
    ),
    (
      {
        "tasks": [task.Task(object(), labelled.LabelledSource(batch_windows=4))]
      },
      "LabelledSource reads windows",
    ),
    ({"augment": lambda windows, *_: windows}, "cannot change embeddings"),
    ({"embeddings": None}, "EmbeddedSource reads stored embeddings"),
  ],
)
def test_a_stage_that_needs_its_network_is_refused(
  stage, tmp_path, changes, message
) -> None:
  with pytest.raises(errors.ConfigError) as raised:
    stage(tmp_path / "run", **changes)
  assert message in _one_line(raised)
  assert not (tmp_path / "run").exists()


def test_embeddings_of_another_network_are_refused(
  stage, tiny_dataset, data, tmp_path
) -> None:
  other = str(tmp_path / "other")
  _train("gin/runs/demo_label_only.gin", tiny_dataset, other, seed=1)
  store = str(tmp_path / "store")
  embedding_cache.ensure(store, model=other, data=data)
  with pytest.raises(errors.ConfigError) as raised:
    stage(
      tmp_path / "run",
      f"embedding_cache.CachedEmbeddings.directory = {store!r}",
    )
  assert f"{store}: embeddings of another network" in _one_line(raised)


def test_a_dry_run_embeds_and_writes_nothing(stage, tmp_path, capsys) -> None:
  stage(tmp_path / "run", dry_run=True)
  assert "8 windows a step" in capsys.readouterr().out
  assert not (tmp_path / "run").exists()
