"""Commands as child processes: their lines, their ends, their signals."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from music_embed.runs import child_command

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _python(code):
  return [sys.executable, "-c", code]


def test_a_commands_lines_pass_to_standard_error(capsys):
  ended = child_command.run(_python("print('one'); print('two')"))
  assert ended == child_command.Ended(0)
  captured = capsys.readouterr()
  assert captured.err.splitlines() == ["one", "two"]
  assert not captured.out


def test_a_failure_is_told_by_its_error_line():
  code = "print('train.py: error: no such\\n  detail'); raise SystemExit(2)"
  assert child_command.run(_python(code)) == child_command.Ended(2, "no such")


def test_a_crash_is_told_by_its_last_line():
  ended = child_command.run(_python("raise ValueError('bad')"))
  assert ended == child_command.Ended(1, "ValueError: bad")


def test_a_killed_command_is_told_by_its_signal():
  code = (
    "import os, signal; print('step 5', flush=True);"
    "os.kill(os.getpid(), signal.SIGKILL)"
  )
  ended = child_command.run(_python(code))
  assert ended == child_command.Ended(-9, "SIGKILL after: step 5")


def test_a_command_that_was_told_to_stop_stops_this_process_too():
  with pytest.raises(KeyboardInterrupt, match="go on"):
    child_command.run(_python("print('go on'); raise SystemExit(130)"))


_CHILD = """
import pathlib, signal, sys, time
def stop(*_):
  time.sleep(0.2)
  pathlib.Path(sys.argv[1]).write_text("saved")
  sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
_PARENT = """
import sys
from music_embed.runs import child_command
try:
  child_command.run([sys.executable, *sys.argv[1:]])
except KeyboardInterrupt:
  sys.exit(7)
"""


def test_ctrl_c_reaches_the_command_and_its_end_is_waited_for(tmp_path):
  saved = tmp_path / "saved"
  script = tmp_path / "child.py"
  script.write_text(_CHILD)
  process = subprocess.Popen(
    [*_python(_PARENT), str(script), str(saved)],
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, "PYTHONPATH": str(_ROOT)},
  )
  assert process.stderr.readline() == "ready\n"
  time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  assert process.wait(30) == 7
  assert saved.read_text() == "saved"
