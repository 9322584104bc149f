"""Engines run every task once, in order, and survive what happens to them."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from music_embed.core import errors
from music_embed.data import engines
from music_embed.data.engines import local


def _square(number: int) -> int:
  return number * number


def _scaled(number: int, *, factor: int) -> int:
  time.sleep(0.01 * (5 - number % 5))  # So that later ones end first.
  return factor * number


def _refuse_seven(number: int) -> int:
  if number == 7:
    raise errors.DataError("log.csv, row 7: nonsense")
  return number


def _divide(number: int) -> float:
  return 1 / number


def _die_once(path: str) -> str:
  if not os.path.exists(path):
    pathlib.Path(path).touch()
    os.kill(os.getpid(), signal.SIGKILL)
  return "survived"


def _die(number: int) -> int:
  if number:
    os.kill(os.getpid(), signal.SIGKILL)
  return number


def _process(number: int) -> int:
  time.sleep(0.05)
  return os.getpid()


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(num_workers: int) -> None:
  scaled = functools.partial(_scaled, factor=3)
  with local.LocalEngine(num_workers) as engine:
    for num_tasks in (0, 1, 17):
      results = engine.map(scaled, range(num_tasks), description="scaled")
      assert results == [3 * number for number in range(num_tasks)]


def test_processes_serve_all_jobs_and_end_with_the_engine() -> None:
  with local.LocalEngine(2) as engine:
    first = set(engine.map(_process, range(8), description="a"))
    second = set(engine.map(_process, range(8), description="b"))
    assert first == second
    assert len(first) == 2
    assert os.getpid() not in first
  assert not any(psutil.pid_exists(process) for process in first)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_refused_input_is_told_as_it_is(num_workers: int) -> None:
  with local.LocalEngine(num_workers) as engine:
    with pytest.raises(errors.DataError, match="row 7: nonsense"):
      engine.map(_refuse_seven, range(20), description="log")
    assert engine.map(_square, range(4), description="on") == [0, 1, 4, 9]


def test_a_crash_says_where() -> None:
  with (
    local.LocalEngine(2) as engine,
    pytest.raises(RuntimeError, match=r"in _divide(.|\n)*ZeroDivisionError"),
  ):
    engine.map(_divide, range(3), description="division")


def test_a_task_whose_process_dies_is_tried_again(
  tmp_path: pathlib.Path,
) -> None:
  paths = [str(tmp_path / str(number)) for number in range(5)]
  with local.LocalEngine(2) as engine:
    assert engine.map(_die_once, paths, description="x") == ["survived"] * 5


def test_a_task_that_always_dies_ends_the_job_with_a_reason() -> None:
  with (
    local.LocalEngine(2) as engine,
    pytest.raises(errors.MusicEmbedError, match="graph: .* twice .SIGKILL"),
  ):
    engine.map(_die, range(3), description="graph")


_KILLED = """
import sys, time
from music_embed.data.engines import local
engine = local.LocalEngine(2)
engine.map(time.sleep, [60.0, 60.0], description="long")
"""


def test_processes_end_with_a_killed_parent() -> None:
  parent = subprocess.Popen(
    [sys.executable, "-c", _KILLED], stderr=subprocess.DEVNULL
  )
  deadline = time.monotonic() + 30
  children: list[psutil.Process] = []
  while len(children) < 2 and time.monotonic() < deadline:
    time.sleep(0.1)
    children = psutil.Process(parent.pid).children()
  parent.kill()
  parent.wait()
  assert len(children) == 2
  _, alive = psutil.wait_procs(children, timeout=5)
  assert not alive


@pytest.mark.parametrize(
  ("name", "master", "message"),
  [
    ("dask", None, "--engine=dask: must be one of local, spark"),
    ("local", "yarn", "--spark_master=yarn: only with --engine=spark"),
  ],
)
def test_a_wrong_engine_is_a_wrong_flag(
  name: str, master: str | None, message: str
) -> None:
  with pytest.raises(errors.ConfigError, match=message):
    engines.create(name, spark_master=master)
