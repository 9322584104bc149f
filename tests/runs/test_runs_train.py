import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from music_embed.audio import augment
from music_embed.core import errors, files
from music_embed.data.pipeline import triplets
from music_embed.data.records import prepared
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import projection
from music_embed.objectives import triplet
from music_embed.runs import restore, train
from music_embed.training import (
  history,
  loop,
  optimizers,
  plateau,
  progress,
  task,
  warm_start,
)

_NETWORK = tiny_runs.NETWORK
_embedder = tiny_runs.embedder
_triplet_task = tiny_runs.triplet_task
_label_task = tiny_runs.label_task
_train = tiny_runs.run
_variables = tiny_runs.variables
_assert_equal = tiny_runs.assert_equal


def _part(variables, part):
  return {k: v for k, v in variables.items() if k.startswith(f"parts/{part}/")}


@pytest.fixture(scope="module")
def undisturbed(tiny_dataset, tmp_path_factory):
  workdir = str(tmp_path_factory.mktemp("undisturbed"))
  _train(tiny_dataset, workdir)
  return workdir


def test_a_run_leaves_checkpoints_history_settings_and_summaries(undisturbed):
  names = set(os.listdir(undisturbed))
  assert names >= {"checkpoints", "history.jsonl", "run.json", "summaries"}
  rows = history.read(os.path.join(undisturbed, "history.jsonl"))
  train_steps = [r["step"] for r in rows if r["split"] == "train"]
  assert train_steps == [1, 2, 3, 4, 5, 6]
  validated = [r["step"] for r in rows if r["split"] == "validation"]
  assert validated == [2, 4, 6]
  assert all("triplet/loss" in r for r in rows if r["split"] == "train")
  with open(os.path.join(undisturbed, "run.json")) as file:
    assert json.load(file)["intra_op_threads"] == 1


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_an_interrupted_run_ends_bit_for_bit_as_an_undisturbed_one(
  stop_at, undisturbed, tiny_dataset, tmp_path, monkeypatch
):
  def interrupt(self, step, *values):
    del self, values
    if step == stop_at:
      raise KeyboardInterrupt

  with monkeypatch.context() as context:
    context.setattr(progress.Progress, "report", interrupt)
    with pytest.raises(KeyboardInterrupt):
      _train(tiny_dataset, tmp_path)
  _train(tiny_dataset, tmp_path)
  _assert_equal(_variables(undisturbed), _variables(tmp_path))
  assert history.read(str(tmp_path / "history.jsonl")) == history.read(
    os.path.join(undisturbed, "history.jsonl")
  )


def test_another_seed_gives_other_weights(undisturbed, tiny_dataset, tmp_path):
  _train(tiny_dataset, tmp_path, seed=1)
  a, b = _variables(undisturbed), _variables(tmp_path)
  assert any(
    not np.array_equal(a[name], b[name]) for name in _part(a, "backbone")
  )


def test_a_finished_run_is_not_trained_again(undisturbed, tiny_dataset, capsys):
  before = _variables(undisturbed)
  _train(tiny_dataset, undisturbed)
  assert "already trained (6 steps)" in capsys.readouterr().err
  _assert_equal(before, _variables(undisturbed))


def test_the_label_stage_starts_from_the_triplet_stages_network(
  undisturbed, tiny_dataset, tmp_path, capsys
):
  """With a learning rate of zero the network stays what it was given."""
  _train(
    tiny_dataset,
    tmp_path,
    embedder=_embedder(with_labels=True),
    tasks=[_label_task()],
    optimizers=[
      optimizers.PartOptimizer(("projection",), 0.0),
      optimizers.PartOptimizer(("label_head",), 1e-2),
    ],
    warm_start=warm_start.WarmStart(undisturbed, _NETWORK),
  )
  before, after = _variables(undisturbed), _variables(tmp_path)
  for part in _NETWORK:
    _assert_equal(_part(before, part), _part(after, part))
  assert np.any(after["parts/label_head/bias/.ATTRIBUTES/VARIABLE_VALUE"])


def test_a_part_without_an_optimizer_keeps_its_batch_norm_statistics(
  tiny_dataset, tmp_path
):
  only_projection = [optimizers.PartOptimizer(("projection",), 1e-2)]
  _train(tiny_dataset, tmp_path / "two", optimizers=only_projection, steps=2)
  _train(tiny_dataset, tmp_path / "four", optimizers=only_projection, steps=4)
  two, four = _variables(tmp_path / "two"), _variables(tmp_path / "four")
  _assert_equal(_part(two, "backbone"), _part(four, "backbone"))
  projections = _part(two, "projection"), _part(four, "projection")
  assert any(
    not np.array_equal(projections[0][k], projections[1][k])
    for k in projections[0]
  )


def test_two_tasks_train_in_one_run_each_with_its_loss(tiny_dataset, tmp_path):
  _train(
    tiny_dataset,
    tmp_path,
    steps=2,
    embedder=_embedder(with_labels=True),
    tasks=[_triplet_task(0.5), _label_task(2.0)],
    optimizers=[
      optimizers.PartOptimizer(_NETWORK, 1e-2),
      optimizers.PartOptimizer(("label_head",), 1e-1),
    ],
  )
  (first, *_) = history.read(str(tmp_path / "history.jsonl"))
  assert {"triplet/loss", "label_softmax/loss"} <= first.keys()


def test_a_plateau_ends_the_stage(tiny_dataset, tmp_path):
  _train(
    tiny_dataset,
    tmp_path,
    steps=20,
    plateau=plateau.Plateau(
      measure="triplet/loss", patience_steps=2, min_relative_change=1e6
    ),
  )
  rows = history.read(str(tmp_path / "history.jsonl"))
  # Step 1 sets the best; nothing is a million times better: level at step 3,
  # where a last validation is made.
  assert [row["step"] for row in rows] == [1, 2, 2, 3, 3]
  assert files.read_json(str(tmp_path / "finished.json"))["ended_by"] == "level"


def test_two_replicas_train(tiny_dataset, tmp_path, mirrored):
  class Two:
    def create(self):
      return mirrored(2)

  _train(tiny_dataset, tmp_path, steps=2, strategy=Two())
  assert len(history.read(str(tmp_path / "history.jsonl"))) == 3


def test_a_batch_that_does_not_divide_is_named_before_anything_is_written(
  tiny_dataset, tmp_path, mirrored
):
  class Two:
    def create(self):
      return mirrored(2)

  source = triplets.TripletSource(batch_triplets=3)
  with pytest.raises(errors.ConfigError, match="batch of 3 does not divide"):
    _train(
      tiny_dataset,
      tmp_path / "run",
      strategy=Two(),
      tasks=[task.Task(triplet.TripletObjective(), source)],
    )
  assert not (tmp_path / "run").exists()


def test_a_plateau_on_a_measure_that_there_is_not_is_named(
  tiny_dataset, tmp_path
):
  with pytest.raises(errors.ConfigError, match=r"'triplex/loss'.*triplet/loss"):
    _train(
      tiny_dataset,
      tmp_path,
      plateau=plateau.Plateau(measure="triplex/loss", patience_steps=1),
    )


def test_a_best_measure_that_there_is_not_is_said(
  tiny_dataset, tmp_path, capsys
):
  options = loop.LoopOptions(2, 1, 2, best_measure="link_app")
  _train(tiny_dataset, tmp_path, loop=options)
  assert "validation gives no 'link_app'" in capsys.readouterr().err


def test_a_run_that_never_trained_cannot_start_another(
  tiny_dataset, tmp_path, monkeypatch
):
  def interrupt(self, step, *values):
    raise KeyboardInterrupt

  with monkeypatch.context() as context:
    context.setattr(progress.Progress, "report", interrupt)
    with pytest.raises(KeyboardInterrupt):
      _train(tiny_dataset, tmp_path / "killed")
  with pytest.raises(errors.ConfigError, match="only the initial weights"):
    _train(
      tiny_dataset,
      tmp_path / "next",
      warm_start=warm_start.WarmStart(str(tmp_path / "killed"), _NETWORK),
    )


def test_a_warm_start_from_a_run_on_another_dataset_is_refused(
  undisturbed, tiny_dataset, tmp_path
):
  other = str(tmp_path / "dataset")
  shutil.copytree(tiny_dataset, other)
  path = f"{other}/manifest.json"
  files.write_json(path, files.read_json(path) | {"seed": 7})
  start = warm_start.WarmStart(undisturbed, _NETWORK)
  with pytest.raises(errors.ConfigError, match="trained on another dataset"):
    _train(other, tmp_path / "run", warm_start=start)
  allowed = warm_start.WarmStart(undisturbed, _NETWORK, other_dataset=True)
  _train(other, tmp_path / "run", warm_start=allowed, steps=2)


def test_a_begun_stage_goes_on_without_the_stage_that_it_started_from(
  undisturbed, tiny_dataset, tmp_path
):
  earlier = tmp_path / "earlier"
  shutil.copytree(undisturbed, earlier)
  start = warm_start.WarmStart(str(earlier), _NETWORK)
  _train(tiny_dataset, tmp_path / "run", warm_start=start, steps=2)
  shutil.rmtree(earlier)
  _train(tiny_dataset, tmp_path / "run", warm_start=start, steps=4)
  assert history.read(str(tmp_path / "run" / "history.jsonl"))[-1]["step"] == 4


def test_two_processes_cannot_train_in_one_directory(tiny_dataset, tmp_path):
  tmp_path.joinpath("run").mkdir()
  with (
    files.exclusive(str(tmp_path / "run" / "lock"), "run"),
    pytest.raises(errors.DataError, match="another process is writing"),
  ):
    _train(tiny_dataset, tmp_path / "run", steps=2)


def test_a_dry_run_describes_and_writes_nothing(tiny_dataset, tmp_path, capsys):
  _train(tiny_dataset, tmp_path / "run", dry_run=True)
  assert not (tmp_path / "run").exists()
  out = capsys.readouterr().out
  assert "12 windows a step" in out
  assert "backbone" in out


def test_a_run_of_another_configuration_is_not_continued(
  tiny_dataset, tmp_path
):
  def texts(rate, threads):
    return train.RunTexts(
      f"x.PartOptimizer.rate = {rate}\nx.configure.num_threads = {threads}\n"
    )

  _train(tiny_dataset, tmp_path, steps=2, texts=texts(0.1, 1))
  before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
  with pytest.raises(errors.ConfigError) as raised:
    _train(tiny_dataset, tmp_path, texts=texts(0.2, 2))
  assert str(raised.value).splitlines()[1:] == [
    "  - x.PartOptimizer.rate = 0.1",
    "  + x.PartOptimizer.rate = 0.2",
  ]
  after = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
  assert before == after
  _train(tiny_dataset, tmp_path, steps=4, texts=texts(0.1, 2))


def test_a_run_goes_on_with_its_own_global_batch_only(tiny_dataset, tmp_path):
  source = triplets.TripletSource(batch_triplets=8)
  _train(tiny_dataset, tmp_path, steps=2)
  with pytest.raises(errors.ConfigError, match="12 windows .* not 24"):
    _train(
      tiny_dataset,
      tmp_path,
      tasks=[task.Task(triplet.TripletObjective(), source)],
    )


def test_a_loss_that_is_not_finite_stops_with_the_checkpoint_kept(
  tiny_dataset, tmp_path
):
  with pytest.raises(errors.DataError, match="is nan"):
    _train(
      tiny_dataset,
      tmp_path,
      optimizers=[optimizers.PartOptimizer(_NETWORK, float("nan"))],
    )
  assert tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))


def test_a_network_of_nan_is_not_measured_between_two_rows(
  tiny_dataset, tmp_path
):
  with pytest.raises(errors.DataError, match="is nan at step 3"):
    _train(
      tiny_dataset,
      tmp_path,
      loop=loop.LoopOptions(6, summary_steps=4, validation_steps=3),
      optimizers=[optimizers.PartOptimizer(_NETWORK, float("nan"))],
    )


def test_a_collapse_is_reported(tiny_dataset, tmp_path, capsys):
  """With so large a margin every loss of unit vectors sits at it."""
  _train(
    tiny_dataset,
    tmp_path,
    steps=2,
    tasks=[
      task.Task(
        triplet.TripletObjective(margin=1e5),
        triplets.TripletSource(batch_triplets=4),
      )
    ],
  )
  assert "embeddings are nearly equal" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("overrides", "culprit"),
  [
    (
      {"optimizers": [optimizers.PartOptimizer(("label_head",), 1.0)]},
      "label_head",
    ),
    (
      {
        "plateau": plateau.Plateau(measure="validation/x", patience_steps=1),
        "validation": None,
      },
      "validation/x",
    ),
    (
      {"tasks": [_triplet_task(), _triplet_task()]},
      "same objective",
    ),
    (
      {"tasks": [_label_task()]},
      "needs the part 'label_head'",
    ),
    (
      {"augment": augment.RandomEq(gain_db=1.0, log_offset=0.5)},
      "log_offset is 0.5",
    ),
    (
      {"warm_start": warm_start.WarmStart("nowhere", _NETWORK)},
      "nowhere/checkpoints: no checkpoint",
    ),
    (
      {"warm_start": warm_start.WarmStart("nowhere", ("label_head",))},
      "label_head",
    ),
  ],
)
def test_parts_that_do_not_fit_are_named_before_anything_is_written(
  overrides, culprit, tiny_dataset, tmp_path
):
  with pytest.raises(errors.ConfigError, match=culprit):
    _train(tiny_dataset, tmp_path / "run", **overrides)
  assert not (tmp_path / "run").exists()


def test_a_network_of_another_width_cannot_take_over_the_parts(
  undisturbed, tiny_dataset
):
  data = prepared.PreparedDataset(tiny_dataset)
  wider = embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.25),
    projection=projection.Projection(dim=8),
  )
  restore.build(wider, data, seed=0)
  path = warm_start.checkpoint_path(undisturbed, "last")
  with pytest.raises(errors.ConfigError, match="'backbone' does not fit"):
    warm_start.load_parts({"backbone": wider.backbone}, path)
