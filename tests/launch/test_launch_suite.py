"""launch/evaluate.py --suite as a user meets it: interrupted, going on."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from music_embed.data.corpora import synthetic
from music_embed.data.mining import splits, vocabulary
from music_embed.runs import prepare
from music_embed.training import history

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SMALL = """from __gin__ import dynamic_registration
from music_embed.data.pipeline import factor_targets
from music_embed.data.pipeline import labelled
from music_embed.data.pipeline import triplets
from music_embed.models.backbones import small_cnn
from music_embed.runs import runtime
from music_embed.runs import train
from music_embed.runs import validation
from music_embed.training import loop

small_cnn.SmallCNN.width_multiplier = 0.125
triplets.TripletSource.batch_triplets = 4
labelled.LabelledSource.batch_windows = 4
factor_targets.FactorTargetSource.batch_windows = 4
runtime.configure.num_threads = 1
train.train.plateau = None
validation.Validation.min_occurrences = 1
loop.LoopOptions.summary_steps = 4
loop.LoopOptions.validation_steps = 200
"""
_SUITE = """from __gin__ import dynamic_registration
from music_embed.runs import evaluate
from music_embed.runs import suite

include "gin/systems/huang2020/tables.gin"

RESNET_18 = "gin/backbones/small_cnn.gin"
MOBILENET = "{folder}/missing_part.gin"
FACTORIZE = "{folder}/factorize.gin"

suite.Row.train_steps = 8
triplet_only/suite.Row.train_steps = 400
suite.suite.rows = [
  @triplet_only/suite.Row(),
  @hybrid/suite.Row(),
  @cf_regression/suite.Row(),
  @label_only_mobilenet/suite.Row(),
  @label_only_small_cnn/suite.Row(),
]
evaluate.evaluate.num_bootstrap = 5
evaluate.evaluate.min_occurrences = 1
evaluate.evaluate.num_factors = (2, 4)
"""
_ONLY = "--only=hybrid,cf_regression,label_only_mobilenet"


# Its configuration is well formed; that the network lacks a part is noticed
# once that is built.
_MISSING_PART = """from __gin__ import dynamic_registration
from music_embed.training import optimizers

include "gin/backbones/small_cnn.gin"

head/optimizers.PartOptimizer.parts = ("cf_head",)
"""
_FACTORIZE = """from __gin__ import dynamic_registration
include "gin/systems/huang2020/factorize.gin"
NUM_FACTORS = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Holds a tiny dataset and a suite of tiny networks, one of which fails."""
  folder = tmp_path_factory.mktemp("suite")
  corpus = str(folder / "corpus")
  synthetic.write_corpus(corpus, config=synthetic.tiny_config(), num_workers=1)
  prepare.prepare(
    recordings=f"{corpus}/recordings.csv",
    listening_log=f"{corpus}/listening_log.csv.gz",
    output=str(folder / "dataset"),
    num_workers=1,
    split_options=splits.SplitOptions(0.2, 0.3),
    vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
  )
  (folder / "small.gin").write_text(_SMALL)
  (folder / "missing_part.gin").write_text(_MISSING_PART)
  (folder / "factorize.gin").write_text(_FACTORIZE)
  (folder / "suite.gin").write_text(_SUITE.format(folder=folder))
  return folder


def _start(folder, *arguments):
  return subprocess.Popen(
    [
      sys.executable,
      "launch/evaluate.py",
      f"--suite={folder / 'suite.gin'}",
      f"--dataset={folder / 'dataset'}",
      f"--output={folder / 'tables'}",
      f"--row_gin_file={folder / 'small.gin'}",
      *arguments,
    ],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(process):
  out, err = process.communicate(timeout=400)
  return process.returncode, out, err


def _rows(folder, name):
  path = folder / "tables" / "runs" / name / "history.jsonl"
  return history.read(str(path))


@pytest.fixture(scope="module")
def interrupted(folder):
  """How the suite ended that was told to stop in its first row."""
  process = _start(folder, _ONLY)
  while process.poll() is None and not _rows(folder, "triplet_only"):
    time.sleep(0.01)
  process.send_signal(signal.SIGTERM)
  return _finish(process)


@pytest.fixture(scope="module")
def done(folder, interrupted):
  """How the same command ended afterwards, and what it wrote."""
  code, out, err = _finish(_start(folder, _ONLY))
  tables = json.loads((folder / "tables" / "tables.json").read_text())
  return code, out, err, tables


@pytest.mark.timeout(600)
def test_sigterm_ends_a_suite_with_the_rows_checkpoint(folder, interrupted):
  code, out, err = interrupted
  assert code == 130, err
  assert not out
  assert "run the same command to go on" in err
  workdir = folder / "tables" / "runs" / "triplet_only"
  assert list((workdir / "checkpoints").iterdir())
  assert not (workdir / "finished.json").exists()


@pytest.mark.timeout(900)
def test_the_same_command_goes_on_and_prints_both_tables(folder, done):
  _, out, err, tables = done
  assert "triplet_only: going on from step" in err
  assert "Table 1: label prediction" in out
  assert "Table 2: link prediction" in out
  found = {row["row"]: row["state"] for row in tables["table_2"]}
  assert found == {
    "Random": "trained",
    "ResNet-18, CF regression": "trained",
    "SmallCNN, triplet-only": "not run",
    "MobileNet, triplet-only": "not run",
    "ResNet-18, triplet-only": "trained",
    "ResNet-18, hybrid": "trained",
    "WMF (trains on the evaluation data)": "trained",
    "Audio statistics": "trained",
    "Ridge, audio statistics to WMF": "trained",
    "Untrained network": "trained",
  }
  assert (folder / "tables" / "report.html").exists()
  assert "| Random |" in (folder / "tables" / "tables.md").read_text()


def test_a_row_that_fails_is_told_and_the_others_are_kept(done):
  code, out, err, tables = done
  assert code == 1
  last = err.strip().splitlines()[-1]
  assert "1 of 4 rows failed (label_only_mobilenet: " in last
  assert "cf_head" in last
  (row,) = [r for r in tables["table_1"] if "MobileNet, label" in r["row"]]
  assert (row["state"], row["here"]) == ("failed", None)
  assert "MobileNet, label-only: failed: " in out


def test_budgets_count_steps_windows_and_cpu_time(done):
  found = {row["system"]: row for row in done[3]["budgets"]}
  assert found["triplet_only"]["budget"]["steps"] == 400
  assert found["triplet_only"]["budget"]["windows"] == 400 * 12
  assert found["hybrid"]["budget"]["windows"] == 8 * 4
  assert found["hybrid"]["all_stages"]["windows"] == 400 * 12 + 8 * 4
  for name in ("triplet_only", "hybrid", "cf_regression"):
    assert found[name]["budget"]["cpu_seconds"] > 0
  assert found["label_only_small_cnn"]["state"] == "not run"


def test_a_finished_suite_is_only_printed_again(folder, done):
  before = {
    path: path.stat().st_mtime_ns
    for path in (folder / "tables" / "runs").rglob("*")
  }
  code, out, err = _finish(_start(folder, "--only=hybrid,cf_regression"))
  assert code == 0, err
  assert "already evaluated" in err
  assert before == {path: path.stat().st_mtime_ns for path in before}
  assert "not run" in out
  assert "failed" not in out


@pytest.mark.parametrize(
  ("flags", "told"),
  [
    (["--only=hybrid"], "--only: only with --suite"),
    (["--suite=x.gin", "--model=a=b"], "--model: a suite's rows"),
    (["--suite=x.gin"], "x.gin: no such file"),
  ],
)
def test_flags_that_do_not_fit_are_one_line(tmp_path, flags, told):
  done = subprocess.run(
    [
      sys.executable,
      "launch/evaluate.py",
      "--dataset=x",
      f"--output={tmp_path}",
      *flags,
    ],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 2
  (line,) = done.stderr.strip().splitlines()
  assert told in line
