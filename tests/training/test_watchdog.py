import json
import os
import signal
import subprocess
import sys
import time

import pytest

from music_embed.core import errors
from music_embed.training import watchdog

_PATIENCE_S = 2.0
_NAMES = ("worker 0 (a:1)", "worker 1 (b:1)", "worker 2 (c:1)")

# A worker without TensorFlow, whose main thread hangs until it is told to end.
_WORKER = """
import sys
from music_embed.training import watchdog
names, index, job, workdir, patience_s = sys.argv[1:]
watch = watchdog.Watch(names=names.split(","), index=int(index), job=int(job),
  workdir=workdir, patience_s=float(patience_s))
with watch:
  print("watching", flush=True)
  line = sys.stdin.readline()
  if line != "end\\n":
    raise RuntimeError(line.strip())
"""


class _Worker:
  def __init__(self, workdir, index, job=7, count=2):
    self.process = subprocess.Popen(
      [sys.executable, "-c", _WORKER, ",".join(_NAMES[:count]), str(index)]
      + [str(job), str(workdir), str(_PATIENCE_S)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def ready(self):
    assert self.process.stdout.readline() == "watching\n"
    return self

  def tell(self, line):
    self.process.stdin.write(f"{line}\n")
    self.process.stdin.flush()

  def end(self):
    code = self.process.wait(timeout=30)
    return code, self.process.stderr.read().strip()


@pytest.fixture
def start(tmp_path):
  started = []

  def start_all(count=2):
    workers = [_Worker(tmp_path, i, count=count) for i in range(count)]
    started.extend(workers)
    return [worker.ready() for worker in workers]

  yield start_all
  for worker in started:
    worker.process.kill()
    worker.process.communicate()


@pytest.mark.parametrize("hung", [0, 1])
def test_a_worker_that_hangs_ends_the_other_with_a_line(start, hung):
  workers = start()
  os.kill(workers[hung].process.pid, signal.SIGSTOP)
  code, line = workers[1 - hung].end()
  assert code == 1
  assert f"{_NAMES[hung]} gave no sign of life" in line
  assert "restart all workers with the same command" in line
  assert len(line.splitlines()) == 1


def test_a_worker_that_is_killed_ends_the_other_with_a_line(start):
  workers = start()
  workers[1].process.kill()
  code, line = workers[0].end()
  assert code == 1
  assert f"{_NAMES[1]} gave no sign of life" in line


def test_the_chief_passes_on_who_is_lost(start):
  workers = start(3)
  os.kill(workers[1].process.pid, signal.SIGSTOP)
  for index in (0, 2):
    code, line = workers[index].end()
    assert code == 1
    assert f"{_NAMES[1]} gave no sign of life" in line
    assert line.count("restart all workers") == 1


def test_a_worker_that_ends_is_not_missed(start):
  workers = start()
  workers[1].tell("end")
  assert workers[1].end() == (0, "")
  time.sleep(2 * _PATIENCE_S)
  workers[0].tell("end")
  assert workers[0].end() == (0, "")


def test_a_worker_that_fails_tells_the_others_why(start):
  workers = start()
  workers[1].tell("out of coffee")
  assert workers[1].end()[0] == 1
  code, line = workers[0].end()
  assert code == 1
  assert f"{_NAMES[1]} stopped: RuntimeError: out of coffee; restart" in line


def test_a_pause_of_its_own_accuses_nobody(start):
  """After it, the other's count has moved on."""
  workers = start()
  os.kill(workers[0].process.pid, signal.SIGSTOP)
  os.kill(workers[1].process.pid, signal.SIGSTOP)
  time.sleep(2 * _PATIENCE_S)
  os.kill(workers[0].process.pid, signal.SIGCONT)
  os.kill(workers[1].process.pid, signal.SIGCONT)
  time.sleep(_PATIENCE_S)
  for worker in workers:
    worker.tell("end")
    assert worker.end() == (0, "")


def _watch(workdir, index, job=7, patience_s=0.8):
  return watchdog.Watch(
    names=_NAMES[:2],
    index=index,
    job=job,
    workdir=str(workdir),
    patience_s=patience_s,
  )


def test_files_of_an_earlier_job_do_not_count(tmp_path):
  _watch(tmp_path, 0, job=6)
  later = _watch(tmp_path, 1, job=7)
  assert not later.sees_chief()
  _watch(tmp_path, 0, job=7)
  assert later.sees_chief()


def test_another_directory_is_not_the_chiefs(tmp_path):
  _watch(tmp_path / "a", 0)
  assert not _watch(tmp_path / "b", 1).sees_chief()


class _TensorFlowError(Exception):
  message = (
    "Graph execution error:\n\nDetected at node CollectiveReduceV2 defined at\n"
    '  File "train.py", line 1\n\nCollective ops is aborted by: Socket closed\n'
  )


def test_after_an_error_of_tensorflow_the_silent_worker_is_named(tmp_path):
  with _watch(tmp_path, 0) as watch:
    _watch(tmp_path, 1)  # Has counted once, and no more.
    error = watch.lost(_TensorFlowError())
  assert isinstance(error, errors.PeerError)
  assert str(error).startswith(
    "lost worker 1 (b:1) (_TensorFlowError: Collective ops is aborted by: "
    "Socket closed): restart all workers"
  )


def test_after_an_error_with_all_alive_the_error_is_told(tmp_path):
  with _watch(tmp_path, 0) as watch, _watch(tmp_path, 1):
    error = watch.lost(_TensorFlowError())
  assert "though they live (_TensorFlowError: Collective ops" in str(error)


def test_after_an_error_the_reason_of_a_failed_worker_is_told(tmp_path):
  with _watch(tmp_path, 0) as watch:
    with pytest.raises(errors.DataError), _watch(tmp_path, 1):
      raise errors.DataError("a shard is damaged")
    error = watch.lost(_TensorFlowError())
  assert "worker 1 (b:1) stopped: a shard is damaged; restart" in str(error)


def test_a_half_written_file_is_passed_over(tmp_path):
  chief, other = _watch(tmp_path, 0), _watch(tmp_path, 1)
  path = tmp_path / "workers" / "0.json"
  whole = json.loads(path.read_text())
  path.write_text('{"job": 7, "cou')
  assert not other.sees_chief()
  assert whole["job"] == 7
  del chief
