"""Tests of music_embed.runs.suite: what is checked before anything trains."""

import pathlib

import pytest

from music_embed.core import errors, files
from music_embed.data.records import prepared
from music_embed.runs import config, suite, suite_rows, train

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_NEVER = suite.Launchers(train=("false",), factorize=("false",))
_SETTINGS = """from __gin__ import dynamic_registration
from music_embed.data.pipeline import triplets
from music_embed.models.backbones import small_cnn
from music_embed.runs import train

small_cnn.SmallCNN.width_multiplier = 0.125
triplets.TripletSource.batch_triplets = 2
train.train.validation = None
"""


@pytest.fixture
def checkout(monkeypatch):
  monkeypatch.chdir(_ROOT)


@pytest.fixture
def run(tiny_dataset, tmp_path, checkout):
  """Runs the demo's suite, of whose launchers each fails at once."""
  settings = tmp_path / "settings.gin"
  settings.write_text(_SETTINGS)
  rows = config.load(
    suite.suite,
    gin_files=["gin/runs/demo_tables.gin"],
    given=("dataset", "output", "launchers"),
  ).arguments

  def run(**changes):
    arguments = {
      "dataset": tiny_dataset,
      "output": str(tmp_path / "tables"),
      "launchers": _NEVER,
      "gin_files": [str(settings)],
      **rows,
      **changes,
    }
    return suite.suite(**arguments)

  return run


@pytest.fixture
def trained(run, tiny_dataset, tmp_path):
  """Directory of the row triplet_only, trained for one step."""
  place = suite_rows.Place(
    tiny_dataset,
    str(tmp_path / "tables"),
    (str(tmp_path / "settings.gin"),),
    ("TRAIN_STEPS = 1",),
  )
  row = suite_rows.Row(
    "triplet_only",
    "ResNet-18, triplet-only",
    ("gin/runs/demo_triplet.gin", "gin/backbones/small_cnn.gin"),
  )
  configured = config.load(
    train.train,
    gin_files=place.all_gin_files(row),
    gin_params=place.all_gin_params(row),
    given=("workdir", "texts", "dry_run"),
  )
  workdir = place.workdir(row.name)
  train.train(
    workdir=workdir,
    texts=train.RunTexts(configured.config_text),
    **configured.arguments,
  )
  return place, row


def test_a_dry_run_names_every_row_and_writes_nothing(run, tmp_path, capsys):
  run(dry_run=True, only=("hybrid",))
  lines = dict(
    line.split(": ", 1) for line in capsys.readouterr().out.splitlines()
  )
  assert lines.pop("cf_regression") == "left out (not begun)"
  assert "TRAIN_STEPS = 90" in lines.pop("triplet_only")
  hybrid = lines.pop("hybrid")
  assert f"WARM_START = '{tmp_path}/tables/runs/triplet_only'" in (
    hybrid.replace("'\"'\"'", "'")
  )
  assert len(lines) == 5
  assert set(lines.values()) == {"left out (not begun)"}
  assert not (tmp_path / "tables").exists()


def test_a_row_that_starts_from_a_failed_one_is_not_tried(run, capsys):
  with pytest.raises(errors.DataError, match="2 of 2 rows failed") as told:
    run(only=("hybrid",))
  assert "hybrid: triplet_only failed, from which it starts" in str(told.value)
  printed = capsys.readouterr().out
  assert "ResNet-18, hybrid: failed: triplet_only failed" in printed


def test_without_factors_their_row_fails_alone(run, tmp_path):
  with pytest.raises(errors.DataError, match="1 of 1 rows.*no factors: exit"):
    run(only=("cf_regression",))
  tables = files.read_json(str(tmp_path / "tables" / "tables.json"))
  states = {row["system"]: row["state"] for row in tables["budgets"]}
  assert states.pop("cf_regression") == "failed"
  assert set(states.values()) == {"not run"}


def test_a_mistake_is_told_in_one_line_before_anything_is_written(
  run, tmp_path
):
  for changes, culprit in (
    ({"only": ["hybird"]}, "--only=hybird: no such row; there are label_only_"),
    (
      {"gin_params": ["LoopOptions.train_stepz = 1"]},
      "row 'label_only_small_cnn': .*train_stepz",
    ),
    ({"gin_params": ["TRAIN_STEPZ = 1"]}, "macro TRAIN_STEPZ"),
  ):
    with pytest.raises(errors.ConfigError, match=culprit) as told:
      run(**changes)
    assert "\n" not in str(told.value)
  with pytest.raises(errors.DataError, match="/nowhere"):
    run(dataset="/nowhere")
  assert not (tmp_path / "tables").exists()


def test_names_of_rows_are_checked(run):
  def row(name, warm_start=None):
    return suite_rows.Row(name, name, (), warm_start=warm_start)

  for rows, culprit in (
    ([row("a"), row("a")], "two rows are called 'a'"),
    ([row("a", "b"), row("b")], "'b', which is not an earlier row"),
    ([row("wmf")], "a baseline has this name"),
  ):
    with pytest.raises(errors.ConfigError, match=culprit):
      run(rows=rows)


def test_a_run_of_another_configuration_is_refused(run, trained):
  with pytest.raises(errors.ConfigError) as told:
    run()
  message = str(told.value)
  assert "row 'triplet_only'" in message
  assert "+ loop.LoopOptions.train_steps = 90" in message
  assert "\n" not in message


def test_a_run_on_another_dataset_is_refused(trained, tmp_path, tiny_dataset):
  place, row = trained
  data = prepared.PreparedDataset(tiny_dataset)
  suite_rows.check_run(place, row, data)  # On its own one it goes on.
  path = files.join(place.workdir(row.name), "run.json")
  files.write_json(path, files.read_json(path) | {"dataset": "another"})
  with pytest.raises(errors.ConfigError, match="trained on another dataset"):
    suite_rows.check_run(place, row, data)


def test_a_finished_run_has_a_state_and_a_budget(trained):
  place, row = trained
  workdir = place.workdir(row.name)
  assert suite_rows.state(workdir) == "finished at step 1"
  budget = suite_rows.budget(workdir)
  assert (budget.steps, budget.windows) == (1, 6)
  assert budget.cpu_seconds > 0
  assert suite_rows.budget(place.workdir("hybrid")) is None
