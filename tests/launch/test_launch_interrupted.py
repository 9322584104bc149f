"""Commands that are told to stop, as a user or a scheduler does it."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from music_embed.core import files
from music_embed.data.corpora import synthetic
from music_embed.data.mining import splits, vocabulary
from music_embed.runs import prepare
from music_embed.training import checkpoints, history

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SMALL = """
embedder.Embedder.backbone = @small_cnn.SmallCNN()
small_cnn.SmallCNN.width_multiplier = 0.125
DATASET = {dataset!r}
loop.LoopOptions.summary_steps = 4
loop.LoopOptions.validation_steps = 8
runtime.configure.num_threads = 1
optimizers.PartOptimizer.learning_rate = 1e-3
train.train.plateau = @plateau.Plateau()
plateau.Plateau.patience_steps = 8
# Nothing gets so much better: level at the third value.
plateau.Plateau.min_relative_change = 1e6
"""
_IMPORTS = """from __gin__ import dynamic_registration
from music_embed.models import embedder
from music_embed.models.backbones import small_cnn
from music_embed.data.pipeline import labelled
from music_embed.data.pipeline import triplets
from music_embed.runs import runtime
from music_embed.runs import train
from music_embed.training import loop
from music_embed.training import optimizers
from music_embed.training import plateau
"""
_CURRICULUM = """from __gin__ import dynamic_registration
from music_embed.runs import curriculum
triplet/curriculum.Stage.name = "triplet"
triplet/curriculum.Stage.gin_file = "{folder}/triplet.gin"
label/curriculum.Stage.name = "label"
label/curriculum.Stage.gin_file = "{folder}/label.gin"
label/curriculum.Stage.warm_start = "triplet"
curriculum.curriculum.stages = [
  @triplet/curriculum.Stage(),
  @label/curriculum.Stage(),
]
"""


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
  """Folder of gin files for a tiny curriculum on a tiny dataset."""
  folder = tmp_path_factory.mktemp("configs")
  corpus, dataset = str(folder / "corpus"), str(folder / "dataset")
  synthetic.write_corpus(corpus, config=synthetic.tiny_config(), num_workers=1)
  prepare.prepare(
    recordings=f"{corpus}/recordings.csv",
    listening_log=f"{corpus}/listening_log.csv.gz",
    output=dataset,
    num_workers=1,
    split_options=splits.SplitOptions(0.2, 0.2),
    vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
  )
  for stage, more in (
    ("triplet", "triplets.TripletSource.batch_triplets = 4\n"),
    ("label", "labelled.LabelledSource.batch_windows = 4\n"),
  ):
    include = f'include "gin/systems/huang2020/{stage}.gin"\n'
    small = _SMALL.format(dataset=dataset)
    if stage == "label":
      small += 'plateau.Plateau.measure = "label_softmax/loss"\n'
    (folder / f"{stage}.gin").write_text(_IMPORTS + include + small + more)
  (folder / "curriculum.gin").write_text(_CURRICULUM.format(folder=folder))
  return folder


def _start(name, workdir, configs, file, *arguments):
  return subprocess.Popen(
    [
      sys.executable,
      f"launch/{name}.py",
      f"--gin_file={configs / file}",
      f"--workdir={workdir}",
      *arguments,
    ],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(process):
  out, err = process.communicate(timeout=240)
  return process.returncode, out, err


def _signal_once(process, number, is_time):
  while process.poll() is None and not is_time():
    time.sleep(0.002)
  process.send_signal(number)
  return _finish(process)


def _rows(workdir):
  return history.read(str(workdir / "history.jsonl"))


def test_sigterm_ends_train_with_its_checkpoint_and_how_to_go_on(
  configs, tmp_path
):
  steps = "--gin_param=TRAIN_STEPS = 100000"
  process = _start("train", tmp_path, configs, "triplet.gin", steps)
  # Far from level: the first row is enough to see that it trains.
  code, _, err = _signal_once(
    process, signal.SIGTERM, lambda: len(_rows(tmp_path)) >= 1
  )
  assert code == 130
  last = err.strip().splitlines()[-1]
  found = re.search(r"stopped at step (\d+).*run the same command", last)
  assert found
  newest = checkpoints.newest(str(tmp_path / "checkpoints"))
  assert checkpoints.step_of(newest) == int(found[1])


def test_another_configuration_is_refused_with_the_differences(
  configs, tmp_path
):
  steps = "--gin_param=TRAIN_STEPS = 4"
  done = _finish(_start("train", tmp_path, configs, "triplet.gin", steps))
  assert done[0] == 0, done[2]
  before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
  code, _, err = _finish(
    _start(
      "train",
      tmp_path,
      configs,
      "triplet.gin",
      "--gin_param=TRAIN_STEPS = 5",
      "--gin_param=runtime.configure.num_threads = 2",
    )
  )
  assert code == 2
  assert err.strip().splitlines()[1:] == [
    "  - loop.LoopOptions.train_steps = 4",
    "  + loop.LoopOptions.train_steps = 5",
  ]
  after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
  assert before == after


@pytest.fixture(scope="module")
def undisturbed(configs, tmp_path_factory):
  """(directory, standard output) of the tiny curriculum."""
  workdir = tmp_path_factory.mktemp("undisturbed")
  start = ("curriculum", workdir, configs, "curriculum.gin")
  code, out, err = _finish(_start(*start))
  assert code == 0, err
  return workdir, out


@pytest.mark.timeout(600)  # Five processes, one after another.
def test_a_curriculum_goes_on_wherever_it_was_stopped(
  configs, undisturbed, tmp_path
):
  """SIGTERM in the first stage, SIGKILL in the second, then the end."""
  workdir = tmp_path
  undisturbed, out = undisturbed

  def start():
    return _start("curriculum", workdir, configs, "curriculum.gin")

  code, _, err = _signal_once(
    start(), signal.SIGTERM, lambda: _rows(workdir / "triplet")
  )
  assert code == 130, err
  assert not (workdir / "label").exists()
  code, _, err = _signal_once(
    start(), signal.SIGKILL, lambda: _rows(workdir / "label")
  )
  assert code == -signal.SIGKILL, err
  assert not (workdir / "summary.html").exists()
  code, again, err = _finish(start())
  assert code == 0, err
  assert "triplet: already trained" in err
  for stage in ("triplet", "label"):
    assert _rows(workdir / stage) == _rows(undisturbed / stage)
    noted = files.read_json(str(workdir / stage / "finished.json"))
    # Rows at 4, 8 and 12: level where the first has not been bettered for 8.
    assert (noted["step"], noted["ended_by"]) == (12, "level")
  for table in (out, again):
    rows = [line.split() for line in table.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["triplet", "12"], ["label", "12"]]
  page = (workdir / "summary.html").read_text()
  assert "level triplet/loss" in page
  assert "level label_softmax/loss" in page
  assert page.count("<svg") >= 4


@pytest.mark.timeout(600)
def test_a_finished_curriculum_is_only_summed_up_again(configs, undisturbed):
  workdir, out = undisturbed
  start = ("curriculum", workdir, configs, "curriculum.gin")
  os.unlink(workdir / "summary.html")
  code, again, err = _finish(_start(*start))
  assert code == 0, err
  assert err.count("already trained (12 steps)") == 2
  assert (workdir / "summary.html").exists()
  assert again == out
  code, _, err = _finish(_start(*start, "--stage_param=TRAIN_STEPS = 5"))
  assert code == 2
  assert "+ loop.LoopOptions.train_steps = 5" in err
