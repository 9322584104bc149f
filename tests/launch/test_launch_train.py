"""launch/train.py as a user meets it: in a process of its own."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TRIPLET = "--gin_file=gin/runs/demo_triplet.gin"


def _launch(*arguments):
  return subprocess.run(
    [sys.executable, "launch/train.py", *arguments],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )


_WRONG = {
  "unknown flag": ([_TRIPLET, "--gin_fil=x"], "gin_fil"),
  "unexpected argument": ([_TRIPLET, "extra"], "extra"),
  "missing gin file": (["--gin_file=gin/nope.gin"], "gin/nope.gin"),
  "no gin file": ([], "train.dataset"),
  "misspelt parameter": (
    [_TRIPLET, "--gin_param=LoopOptions.train_stepz = 1"],
    "train_stepz",
  ),
  "misspelt class": ([_TRIPLET, "--gin_param=Loop.x = 1"], "Loop"),
  "misspelt macro": ([_TRIPLET, "--gin_param=TRAIN_STEPZ = 1"], "TRAIN_STEPZ"),
  "unset required macro": (
    ["--gin_file=gin/systems/huang2020/triplet.gin"],
    "DATASET",
  ),
  "unparsable value": ([_TRIPLET, "--gin_param=TRAIN_STEPS = abc"], "abc"),
  "value out of range": ([_TRIPLET, "--gin_param=TRAIN_STEPS = 0"], "steps"),
  "unknown objective": (
    [_TRIPLET, "--gin_param=Task.objective = @triplet.Triplets()"],
    "Triplets",
  ),
}


@pytest.mark.parametrize("case", _WRONG)
def test_a_wrong_configuration_is_one_line_and_writes_nothing(case, tmp_path):
  arguments, culprit = _WRONG[case]
  workdir = tmp_path / "run"
  done = _launch(*arguments, f"--workdir={workdir}")
  assert done.returncode == 2
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert not workdir.exists()


def test_a_missing_workdir_flag_is_named():
  done = _launch(_TRIPLET)
  assert done.returncode == 2
  (line,) = done.stderr.strip().splitlines()
  assert "workdir" in line


def test_a_missing_dataset_is_an_error_that_names_it(tmp_path):
  missing = tmp_path / "nothing"
  done = _launch(
    _TRIPLET,
    f"--gin_param=DATASET = '{missing}'",
    f"--workdir={tmp_path / 'run'}",
  )
  assert done.returncode != 0
  assert str(missing) in done.stderr.strip().splitlines()[-1]
  assert not (tmp_path / "run").exists()
