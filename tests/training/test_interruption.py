"""Signals while the main thread waits inside TensorFlow."""

import os
import signal
import subprocess
import sys
import threading

import tensorflow as tf

from music_embed.training import interruption

_LOOP = """
import sys
import tensorflow as tf
from music_embed.training import interruption

with tf.device("CPU:0"):
  flag = tf.Variable(False)
heeds = sys.argv[1] == "heeds"

@tf.function
def loop():
  def go_on(step):
    return tf.logical_not(flag) if heeds else step >= 0
  return tf.while_loop(go_on, lambda step: (step + 1,), [tf.constant(0.0)])

stop = interruption.StopRequest(flag)
with interruption.watching(stop):
  print("ready", flush=True)
  loop()
  print("ended", stop.requested, flush=True)
"""


def _start(kind):
  process = subprocess.Popen(
    [sys.executable, "-c", _LOOP, kind],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
  )
  assert process.stdout.readline() == "ready\n"
  return process


def test_a_loop_inside_tensorflow_learns_of_the_first_signal():
  process = _start("heeds")
  process.send_signal(signal.SIGTERM)
  out, err = process.communicate(timeout=60)
  assert out == "ended True\n"
  assert "stopping after this step" in err
  assert process.returncode == 0


def test_the_second_signal_ends_at_once():
  process = _start("ignores")
  process.send_signal(signal.SIGINT)
  assert "stopping" in process.stderr.readline()
  process.send_signal(signal.SIGTERM)
  _, err = process.communicate(timeout=60)
  assert process.returncode == 130
  assert "stopped at once" in err


def test_handlers_are_put_back():
  before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
  with interruption.watching(interruption.StopRequest()):
    assert signal.getsignal(signal.SIGTERM) != before[0]
  after = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
  assert after == before


def test_a_request_sets_the_variable_that_a_device_loop_reads():
  flag = tf.Variable(False)
  stop = interruption.StopRequest(flag)
  assert not stop.requested
  thread = threading.Thread(target=stop.ask)
  thread.start()
  thread.join()
  assert stop.requested
  assert bool(flag)


def test_outside_the_main_thread_nothing_is_watched():
  seen = []

  def work():
    with interruption.watching(interruption.StopRequest()):
      seen.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [signal.getsignal(signal.SIGINT)]
