"""Two processes that train one run through `launch/train.py`."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from music_embed.data.corpora import synthetic
from music_embed.data.mining import splits, vocabulary
from music_embed.runs import prepare
from music_embed.training import history

pytestmark = pytest.mark.timeout(900)  # Nine processes, where others run too.

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_STEPS = 60
_PARAMS = {
  "TRAIN_STEPS": _STEPS,
  "BATCH_TRIPLETS": 4,
  "PRECISION": "'float64'",
  "small_cnn.SmallCNN.width_multiplier": 0.125,
  "loop.LoopOptions.summary_steps": 2,
  "loop.LoopOptions.validation_steps": 20,
  "loop.LoopOptions.checkpoint_steps": 4,
  "loop.LoopOptions.steps_per_loop": 2,
  "runtime.configure.num_threads": 1,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
  folder = tmp_path_factory.mktemp("workers")
  corpus, output = str(folder / "corpus"), str(folder / "dataset")
  synthetic.write_corpus(corpus, config=synthetic.tiny_config(), num_workers=1)
  prepare.prepare(
    recordings=f"{corpus}/recordings.csv",
    listening_log=f"{corpus}/listening_log.csv.gz",
    output=output,
    num_workers=1,
    split_options=splits.SplitOptions(0.2, 0.2),
    vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
  )
  return output


class _Process:
  """One worker, with what it prints in a file."""

  def __init__(self, dataset, workdir, log, hardware, params=(), flags=()):
    bindings = {**_PARAMS, "DATASET": repr(dataset), **dict(params)}
    self._log = log
    with open(log, "w") as file:
      self.process = subprocess.Popen(
        [
          sys.executable,
          "launch/train.py",
          "--gin_file=gin/runs/demo_triplet.gin",
          f"--gin_file=gin/hardware/{hardware}.gin",
          *(f"--gin_param={k} = {v}" for k, v in bindings.items()),
          f"--workdir={workdir}",
          *flags,
        ],
        cwd=_ROOT,
        stdout=file,
        stderr=file,
        env={k: v for k, v in os.environ.items() if k != "TF_CONFIG"},
      )

  @property
  def log(self):
    return self._log.read_text()

  def step(self):
    """The last step that it has told."""
    told = re.findall(r"  step (\d+)/", self.log)
    return int(told[-1]) if told else 0

  def wait_for_step(self, step):
    while self.step() < step:
      assert self.process.poll() is None, self.log
      time.sleep(0.02)

  def end(self):
    """Exit code and last line."""
    code = self.process.wait(timeout=300)
    return code, self.log.strip().splitlines()[-1]

  def send(self, number):
    self.process.send_signal(number)


@contextlib.contextmanager
def _pair(dataset, workdirs, folder, name):
  with contextlib.ExitStack() as held:
    sockets = [held.enter_context(socket.socket()) for _ in workdirs]
    for free in sockets:
      free.bind(("127.0.0.1", 0))
    hosts = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
  workers = [
    _Process(
      dataset,
      workdir,
      folder / f"{name}_{index}.log",
      "multi_worker",
      {"strategy.MultiWorker.patience_s": 4.0},
      [f"--worker_hosts={','.join(hosts)}", f"--worker_index={index}"],
    )
    for index, workdir in enumerate(workdirs)
  ]
  try:
    yield workers
  finally:
    for worker in workers:
      worker.process.kill()
      worker.process.wait()


@pytest.fixture(scope="module")
def alone(dataset, tmp_path_factory):
  """The history of one process."""
  folder = tmp_path_factory.mktemp("alone")
  worker = _Process(dataset, folder / "run", folder / "log", "cpu")
  assert worker.end()[0] == 0, worker.log
  return history.read(str(folder / "run" / "history.jsonl"))


@pytest.fixture(scope="module")
def disturbed(dataset, tmp_path_factory):
  """A run of two processes of which first one is killed, then one hangs."""
  folder = tmp_path_factory.mktemp("disturbed")
  workdir = folder / "run"
  found = {"workdir": workdir}
  with _pair(dataset, [workdir] * 2, folder, "killed") as workers:
    workers[0].wait_for_step(6)
    workers[1].send(signal.SIGKILL)
    found["killed"] = workers[0].end()
  with _pair(dataset, [workdir] * 2, folder, "hung") as workers:
    workers[0].wait_for_step(14)
    workers[0].send(signal.SIGSTOP)
    found["hung"] = workers[1].end()
  with _pair(dataset, [workdir] * 2, folder, "whole") as workers:
    found["codes"] = [worker.end()[0] for worker in workers]
    found["logs"] = [worker.log for worker in workers]
  return found


def test_a_killed_worker_ends_the_other_with_a_line_that_names_it(disturbed):
  code, line = disturbed["killed"]
  assert code == 1
  assert re.search(r"error: .*worker 1 \(127\.0\.0\.1:\d+\)", line), line
  assert "restart all workers with the same command" in line


def test_a_worker_that_hangs_ends_the_other_with_a_line_that_names_it(
  disturbed,
):
  code, line = disturbed["hung"]
  assert code == 1
  assert re.search(r"error: .*worker 0 \(127\.0\.0\.1:\d+\)", line), line
  assert "restart all workers with the same command" in line


def test_restarting_both_goes_on_to_the_end(disturbed):
  assert disturbed["codes"] == [0, 0], disturbed["logs"]
  (step,) = re.findall(r"going on from step (\d+)", disturbed["logs"][0])
  assert 4 <= int(step) < _STEPS
  finished = json.loads((disturbed["workdir"] / "finished.json").read_text())
  assert finished["step"] == _STEPS


def test_two_disturbed_processes_train_what_one_does(disturbed, alone):
  """In float64, with the same batch: the same rows, losses and validations."""
  found = history.read(str(disturbed["workdir"] / "history.jsonl"))
  assert [(r["step"], r["split"]) for r in found] == [
    (r["step"], r["split"]) for r in alone
  ]
  for row, expected in zip(found, alone, strict=True):
    assert row.keys() == expected.keys()
    for name, value in expected.items():
      if isinstance(value, float):
        np.testing.assert_allclose(
          row[name], value, rtol=1e-9, atol=1e-9, err_msg=name
        )


def test_only_the_chief_writes_and_prints(disturbed):
  workdir = disturbed["workdir"]
  names = {str(p.relative_to(workdir)) for p in workdir.iterdir()}
  assert names == {
    "best",
    "checkpoints",
    "config.gin",
    "finished.json",
    "history.jsonl",
    "lock",
    "operative_config.gin",
    "run.json",
    "summaries",
    "timing.jsonl",
    "workers",
  }
  # One a start, all of the chief's.
  assert len(list((workdir / "summaries").glob("events*"))) == 3
  assert "step" not in disturbed["logs"][1]


def test_workers_with_a_workdir_each_are_refused(dataset, tmp_path):
  workdirs = [tmp_path / "a", tmp_path / "b"]
  with _pair(dataset, workdirs, tmp_path, "apart") as workers:
    ends = [worker.end() for worker in workers]
  for workdir, (code, line) in zip(workdirs, ends, strict=True):
    assert code == 2
    assert f"{workdir} is not one folder that all workers share" in line
    assert not (workdir / "config.gin").exists()


def test_several_workers_need_a_strategy_of_several(dataset, tmp_path):
  flags = ["--worker_hosts=a:1,b:1", "--worker_index=0"]
  worker = _Process(
    dataset, tmp_path / "run", tmp_path / "log", "cpu", flags=flags
  )
  code, line = worker.end()
  assert code == 2
  assert "gin/hardware/multi_worker.gin" in line
