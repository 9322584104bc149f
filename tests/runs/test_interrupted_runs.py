"""A run that is stopped or damaged anywhere ends as an undisturbed one."""

import os
import pathlib
import signal
import time

import pytest
import tensorflow as tf
import tiny_runs
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_config_pb2

from music_embed.core import files
from music_embed.runs import validation
from music_embed.training import (
  checkpoints,
  history,
  interruption,
  loop,
  workers,
)

_OPTIONS = loop.LoopOptions(
  6, summary_steps=4, validation_steps=3, checkpoint_steps=6
)


def _signal_at(call):
  """An augmentation that sends SIGTERM to this process at its n-th call."""
  calls = []

  def send(windows):
    calls.append(1)
    if len(calls) == call:
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(0.5)  # The step ends after the signal has been seen.
    return windows

  def augment(windows, seed, replica, num_replicas):
    del seed, replica, num_replicas
    same = tf.py_function(send, [windows], windows.dtype)
    return tf.ensure_shape(same, windows.shape)

  return augment


class _SignalWhileValidating:
  """A validation during which SIGTERM comes once."""

  def __init__(self, *, at):
    self._inner = validation.Validation(min_occurrences=1)
    self._at = at
    self.asked = False

  def measure(self, data, **kwargs):
    inner = self._inner.measure(data, **kwargs)
    calls = []

    def measure(embedder, should_stop):
      calls.append(1)
      if len(calls) != self._at:
        return inner(embedder, should_stop)
      os.kill(os.getpid(), signal.SIGTERM)
      while not should_stop():
        time.sleep(0.01)
      self.asked = True
      return inner(embedder, should_stop)

    return measure


def _run(dataset, workdir, **overrides):
  tiny_runs.run(
    dataset,
    workdir,
    **{"loop": _OPTIONS, "augment": _signal_at(None), **overrides},
  )


def _rows(workdir):
  return history.read(os.path.join(workdir, "history.jsonl"))


def _step(workdir):
  path = checkpoints.newest(os.path.join(workdir, "checkpoints"))
  return checkpoints.step_of(path)


def _assert_same(workdir, other):
  tiny_runs.assert_equal(
    tiny_runs.variables(workdir), tiny_runs.variables(other)
  )
  assert _rows(workdir) == _rows(other)


@pytest.fixture(scope="module")
def undisturbed(tiny_dataset, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("undisturbed")
  _run(tiny_dataset, workdir)
  return workdir


def test_rows_lie_at_multiples_and_at_the_end(undisturbed):
  assert [(row["step"], row["split"]) for row in _rows(undisturbed)] == [
    (3, "validation"),
    (4, "train"),
    (6, "train"),
    (6, "validation"),
  ]


def test_sigterm_within_a_loop_of_steps_ends_it_with_a_checkpoint(
  undisturbed, tiny_dataset, tmp_path, capsys
):
  with pytest.raises(interruption.Interrupted, match="stopped at step"):
    _run(tiny_dataset, tmp_path, augment=_signal_at(2))
  assert 2 <= _step(tmp_path) < 4  # Between two rows of the history.
  assert "stopping after this step" in capsys.readouterr().err
  assert not (tmp_path / "finished.json").exists()
  _run(tiny_dataset, tmp_path)
  assert "going on from step" in capsys.readouterr().err
  _assert_same(undisturbed, tmp_path)


def test_sigterm_while_validating_leaves_the_validation_to_be_repeated(
  undisturbed, tiny_dataset, tmp_path
):
  stopping = _SignalWhileValidating(at=1)
  with pytest.raises(interruption.Interrupted):
    _run(tiny_dataset, tmp_path, validation=stopping)
  assert stopping.asked
  assert _step(tmp_path) == 3
  assert _rows(tmp_path) == []
  _run(tiny_dataset, tmp_path)
  _assert_same(undisturbed, tmp_path)


def test_sigterm_in_the_last_validation_does_not_lose_it(
  undisturbed, tiny_dataset, tmp_path
):
  with pytest.raises(interruption.Interrupted):
    _run(tiny_dataset, tmp_path, validation=_SignalWhileValidating(at=2))
  assert _step(tmp_path) == 6
  assert not (tmp_path / "finished.json").exists()
  _run(tiny_dataset, tmp_path)
  _assert_same(undisturbed, tmp_path)


def test_a_signal_after_the_end_is_not_swallowed(
  tiny_dataset, tmp_path, monkeypatch
):
  """Else the next stage of a curriculum would begin as if none had come."""
  reached = []
  looked = workers.Workers.any

  def send_after(self, flag):
    found = looked(self, flag)
    if (tmp_path / "finished.json").exists():
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(0.1)
    return found

  monkeypatch.setattr(workers.Workers, "any", send_after)
  before = signal.signal(signal.SIGTERM, lambda *_: reached.append(1))
  try:
    _run(tiny_dataset, tmp_path)
  except interruption.Interrupted:
    reached.append(1)
  finally:
    signal.signal(signal.SIGTERM, before)
  assert reached


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_last(
  undisturbed, tiny_dataset, tmp_path, capsys
):
  _run(tiny_dataset, tmp_path)
  (data,) = tmp_path.glob("checkpoints/ckpt-6.data*")
  data.write_bytes(data.read_bytes()[:100])
  os.unlink(tmp_path / "checkpoints" / "checkpoint")
  os.unlink(tmp_path / "finished.json")
  _run(tiny_dataset, tmp_path)
  assert "ckpt-6 is damaged: going on from" in capsys.readouterr().err
  _assert_same(undisturbed, tmp_path)


def test_the_length_of_loops_inside_tensorflow_changes_nothing(
  undisturbed, tiny_dataset, tmp_path
):
  options = loop.LoopOptions(
    6,
    summary_steps=4,
    validation_steps=3,
    checkpoint_steps=6,
    steps_per_loop=1,
  )
  _run(tiny_dataset, tmp_path, loop=options)
  _assert_same(undisturbed, tmp_path)


def test_a_run_goes_on_on_more_replicas(
  undisturbed, tiny_dataset, tmp_path, mirrored
):
  class Two:
    def create(self):
      return mirrored(2)

  with pytest.raises(interruption.Interrupted):
    _run(tiny_dataset, tmp_path, augment=_signal_at(2))
  # Without the augmentation, which changes nothing: Python between two
  # replicas' collectives may wait for ever.
  _run(tiny_dataset, tmp_path, strategy=Two(), augment=None)
  for row, expected in zip(_rows(tmp_path), _rows(undisturbed), strict=True):
    assert row.keys() == expected.keys()
    # The first row's mean is over steps of either kind.
    if row["step"] == 4:
      assert row["triplet/loss"] == pytest.approx(
        expected["triplet/loss"], rel=1e-3
      )


def test_wall_time_stands_in_a_file_of_its_own(undisturbed):
  assert not any("seconds" in row for row in _rows(undisturbed))
  timing = history.read(str(undisturbed / "timing.jsonl"))
  assert {row["part"] for row in timing} == {
    "train",
    "validation",
    "checkpoint",
  }
  assert all(row["seconds"] >= 0 for row in timing)
  trained = [row for row in timing if row["part"] == "train"]
  assert all(row["windows_per_s"] > 0 for row in trained)


def test_what_a_run_took_is_noted_at_its_end(undisturbed):
  noted = files.read_json(str(undisturbed / "finished.json"))
  timing = history.read(str(undisturbed / "timing.jsonl"))
  (step,) = {row["step"] for row in timing[-1:]}
  run = files.read_json(str(undisturbed / "run.json"))
  assert noted["windows"] == step * run["windows_per_step"]
  total = sum(row["cpu_seconds"] for row in timing)
  assert noted["cpu_seconds"] == pytest.approx(total, abs=0.06)
  assert noted["cpu_seconds"] > 0


def test_tensorboard_gets_what_there_is_to_watch(undisturbed):
  (path,) = pathlib.Path(undisturbed, "summaries").glob("events*")
  tags = {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }
  assert tags >= {
    "triplet/loss",
    "triplet/mined",
    "triplet/violations",
    "triplet/spread",
    "gradient_norm/backbone",
    "gradient_norm/projection",
    "learning_rate/backbone+projection",
    "speed/windows_per_s",
    "speed/input_wait_share",
    "validation/link_auc",
  }


def test_the_projector_gets_the_validations_recordings(undisturbed):
  folder = undisturbed / "summaries"
  config = text_format.Parse(
    (folder / "projector_config.pbtxt").read_text(),
    projector_config_pb2.ProjectorConfig(),
  )
  (embedding,) = config.embeddings
  vectors = (folder / embedding.tensor_path).read_text().splitlines()
  rows = (folder / embedding.metadata_path).read_text().splitlines()
  assert rows[0] == "recording\ttitle"
  assert len(rows) == len(vectors) + 1 > 2
  assert all(len(row.split("\t")) == 2 for row in rows)
  assert {len(vector.split("\t")) for vector in vectors} == {8}
