"""Checkpoints that are complete or absent, whatever was killed or damaged."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from music_embed.core import errors, files
from music_embed.training import checkpoints


def _saver(folder, **options):
  variable = tf.Variable(tf.zeros([64]))
  saver = checkpoints.Checkpoints(
    tf.train.Checkpoint(value=variable), str(folder), **{"keep": 2, **options}
  )
  return saver, variable


def _save(folder, *steps, **options):
  saver, variable = _saver(folder, **options)
  for step in steps:
    variable.assign(tf.fill([64], float(step)))
    saver.save(step)


def _restored(folder):
  """(prefix's name, value, warnings)"""
  saver, variable = _saver(folder)
  warnings = []
  path = saver.restore(warnings.append)
  name = os.path.basename(path) if path else None
  return name, float(variable[0]), warnings


def _data_file(folder, name):
  return pathlib.Path(folder, f"{name}.data-00000-of-00001")


def _cut(folder, name):
  path = _data_file(folder, name)
  path.write_bytes(path.read_bytes()[:-7])


def _flip(folder, name):
  path = _data_file(folder, name)
  data = bytearray(path.read_bytes())
  data[20] ^= 1
  path.write_bytes(bytes(data))


def _delete(folder, name):
  _data_file(folder, name).unlink()


def _garble_marker(folder, name):
  pathlib.Path(folder, f"{name}.complete").write_text("{")


def test_an_empty_or_missing_directory_has_none(tmp_path):
  assert checkpoints.newest(str(tmp_path)) is None
  assert checkpoints.newest(str(tmp_path / "missing")) is None
  assert _restored(tmp_path / "missing") == (None, 0.0, [])


def test_the_last_ones_are_kept_and_the_newest_is_restored(tmp_path):
  _save(tmp_path, 10, 20, 30)
  assert checkpoints.newest(str(tmp_path)) == str(tmp_path / "ckpt-30")
  assert not list(tmp_path.glob("ckpt-10*"))
  assert _restored(tmp_path) == ("ckpt-30", 30.0, [])
  assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-30")


@pytest.mark.parametrize("damage", [_cut, _flip, _delete, _garble_marker])
def test_a_damaged_newest_one_gives_way_to_the_one_before(damage, tmp_path):
  _save(tmp_path, 10, 20)
  damage(tmp_path, "ckpt-20")
  name, value, warnings = _restored(tmp_path)
  assert (name, value) == ("ckpt-10", 10.0)
  (warning,) = warnings
  assert "ckpt-20 is damaged" in warning
  assert not list(tmp_path.glob("ckpt-20*"))
  _save(tmp_path, 20)
  assert _restored(tmp_path) == ("ckpt-20", 20.0, [])


@pytest.mark.parametrize("damage", [_cut, _flip])
def test_only_damaged_ones_are_an_error_not_a_new_beginning(damage, tmp_path):
  _save(tmp_path, 10, 20)
  damage(tmp_path, "ckpt-10")
  damage(tmp_path, "ckpt-20")
  with pytest.raises(errors.DataError, match="every checkpoint is damaged"):
    _restored(tmp_path)


def test_a_cut_one_is_passed_over_without_reading_it(tmp_path):
  _save(tmp_path, 10, 20)
  _cut(tmp_path, "ckpt-20")
  warnings = []
  found = checkpoints.newest(str(tmp_path), warnings.append)
  assert found == str(tmp_path / "ckpt-10")
  assert "ckpt-20 is damaged" in warnings[0]


@pytest.mark.parametrize("text", [None, 'model_checkpoint_path: "ckpt-7"\n'])
def test_tensorflows_state_file_may_be_missing_or_stale(text, tmp_path):
  _save(tmp_path, 10, 20)
  state = tmp_path / "checkpoint"
  state.unlink() if text is None else state.write_text(text)
  assert _restored(tmp_path) == ("ckpt-20", 20.0, [])


def test_one_without_its_marker_is_a_leftover_and_goes(tmp_path):
  """As a kill leaves it between the last data file and the marker."""
  _save(tmp_path, 10, 20)
  os.unlink(tmp_path / "ckpt-20.complete")
  temporary = tmp_path / "ckpt-30_temp"
  temporary.mkdir()
  (temporary / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"x")
  (tmp_path / "ckpt-30.complete.tmp123").write_bytes(b"{")
  assert _restored(tmp_path) == ("ckpt-10", 10.0, [])
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {
    "checkpoint",
    "ckpt-10.complete",
    "ckpt-10.data-00000-of-00001",
    "ckpt-10.index",
  }


def test_a_second_one_of_the_same_step_does_not_overwrite_the_first(tmp_path):
  saver, variable = _saver(tmp_path, keep=2)
  for value in (1.0, 2.0, 3.0):
    variable.assign(tf.fill([64], value))
    saver.save(20)
  name, value, _ = _restored(tmp_path)
  assert value == 3.0
  assert checkpoints.step_of(name) == 20
  assert len(list(tmp_path.glob("*.complete"))) == 2


def test_the_newest_is_the_last_written_not_the_greatest_step(tmp_path):
  """After a fallback, steps are saved that come before the damaged one's."""
  _save(tmp_path, 10, 200)
  _save(tmp_path, 20)
  assert _restored(tmp_path)[:2] == ("ckpt-20", 20.0)


def test_checkpoints_of_an_earlier_version_have_no_markers(tmp_path):
  variable = tf.Variable(tf.fill([64], 5.0))
  manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(value=variable), str(tmp_path), max_to_keep=2
  )
  manager.save(checkpoint_number=4)
  manager.save(checkpoint_number=5)
  assert checkpoints.newest(str(tmp_path)) == str(tmp_path / "ckpt-5")
  _save(tmp_path, 6)
  assert _restored(tmp_path) == ("ckpt-6", 6.0, [])


def test_another_networks_checkpoint_is_refused(tmp_path):
  _save(tmp_path, 10)
  saver = checkpoints.Checkpoints(
    tf.train.Checkpoint(other=tf.Variable(1.0)), str(tmp_path), keep=2
  )
  with pytest.raises(errors.DataError, match="other variables"):
    saver.restore(print)


def test_other_workers_take_part_and_leave_nothing(tmp_path):
  _save(tmp_path / "folder", 10, writes=False)
  assert not (tmp_path / "folder").exists()


_WRITER = """
import sys
import tensorflow as tf
from music_embed.training import checkpoints

value = tf.Variable(tf.zeros([200_000], tf.int64))
saver = checkpoints.Checkpoints(
  tf.train.Checkpoint(value=value), sys.argv[1], keep=2
)
step = int(sys.argv[2])
print("ready", flush=True)
while True:
  step += 1
  value.assign(tf.fill([200_000], tf.constant(step, tf.int64)))
  saver.save(step)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_one(tmp_path):
  step = 0
  for _ in range(3):
    process = subprocess.Popen(
      [sys.executable, "-c", _WRITER, str(tmp_path), str(step)],
      stdout=subprocess.PIPE,
      text=True,
      env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    process.stdout.readline()
    while not list(tmp_path.glob(f"ckpt-{step + 3}.*")):
      time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    value = tf.Variable(tf.zeros([200_000], tf.int64))
    saver = checkpoints.Checkpoints(
      tf.train.Checkpoint(value=value), str(tmp_path), keep=2
    )
    path = saver.restore(pytest.fail)
    assert int(value[0]) == checkpoints.step_of(path) > step
    assert int(tf.reduce_max(value)) == int(tf.reduce_min(value))
    step = checkpoints.step_of(path)


def test_a_marker_says_what_there_must_be(tmp_path):
  _save(tmp_path, 10)
  marker = files.read_json(str(tmp_path / "ckpt-10.complete"))
  assert marker["step"] == 10
  assert marker["files"] == {
    path.name: path.stat().st_size
    for path in tmp_path.iterdir()
    if path.name.startswith("ckpt-10.") and path.suffix != ".complete"
  }
