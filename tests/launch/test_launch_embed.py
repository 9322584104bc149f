"""launch/embed.py as a user meets it: in a process of its own."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import soundfile
import tiny_exports

from music_embed.core import types
from music_embed.data.records import embedding_folder, embedding_parts

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_NUM_FILES = 530  # Two parts and more.


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "labelled"
  tiny_exports.export(
    path, types.LogMelFrontEnd(), vocabulary=["bebop", "jazz"]
  )
  return str(path)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  root = tmp_path_factory.mktemp("music")
  rng = np.random.default_rng(0)
  for number in range(_NUM_FILES):
    noise = 0.1 * rng.normal(size=8_000)
    soundfile.write(root / f"{number:03d}.wav", noise, 16_000)
  return root


def _command(*arguments):
  return [sys.executable, str(_ROOT / "launch" / "embed.py"), *arguments]


def _run(*arguments, cwd):
  return subprocess.run(
    _command(*arguments),
    cwd=cwd,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


def _contents(folder):
  return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.mark.parametrize(
  ("arguments", "code", "culprit"),
  [
    (["--model=m", "music"], 2, "--output"),
    (["--output=o", "music"], 2, "--model"),
    (["--model=m", "--output=o", "--level=songs", "music"], 2, "--level"),
    (["--model=m", "--output=o", "--labels=-1", "music"], 2, "--labels"),
    (["--model=nope", "--output=o", "music"], 2, "nope: no such"),
  ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
  arguments, code, culprit, tmp_path
):
  done = _run(*arguments, cwd=tmp_path)
  assert done.returncode == code
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert list(tmp_path.iterdir()) == []


def test_inputs_are_flags_or_plain_arguments(model, music, tmp_path):
  done = _run(
    f"--model={model}",
    "--output=out",
    f"--input={music}/00[0-2].wav",
    f"{music}/003.wav",
    "--labels=1",
    "--nonpz",
    cwd=tmp_path,
  )
  assert done.returncode == 0, done.stderr
  assert "out: 4 recordings" in done.stderr
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path / "out"))
  (batch,) = folder.batches()
  assert batch.ids == ["000.wav", "001.wav", "002.wav", "003.wav"]
  assert {len(labels) for labels in batch.labels} == {1}
  assert not (tmp_path / "out/embeddings.npz").exists()


def _interrupted(model, music, output, how):
  """Runs until a part is there, then interrupts; returns code and message."""
  process = subprocess.Popen(
    _command(f"--model={model}", f"--output={output}", str(music)),
    stderr=subprocess.PIPE,
    text=True,
  )
  deadline = time.monotonic() + 200
  while not (output.exists() and embedding_parts.numbers(str(output))):
    assert process.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.01)
  children = psutil.Process(process.pid).children(recursive=True)
  assert children
  process.send_signal(how)
  began = time.monotonic()
  _, message = process.communicate(timeout=60)
  assert time.monotonic() - began < 20
  _, alive = psutil.wait_procs(children, timeout=20)
  assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
  assert not (output / "embed.json").exists()
  return process.returncode, message


def test_an_interrupted_call_goes_on_and_ends_in_the_same_bytes(
  model, music, tmp_path
):
  done = _run(f"--model={model}", "--output=whole", str(music), cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  output = tmp_path / "out"
  code, message = _interrupted(model, music, output, signal.SIGTERM)
  assert code == 130
  assert "run the same command to go on" in message
  assert "Traceback" not in message
  done = _run(f"--model={model}", "--output=out", str(music), cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert "are embedded already" in done.stderr
  assert _contents(output) == _contents(tmp_path / "whole")


def test_a_killed_call_leaves_no_process_and_no_half_written_summary(
  model, music, tmp_path
):
  code, _ = _interrupted(model, music, tmp_path / "out", signal.SIGKILL)
  assert code == -signal.SIGKILL
  numbers = embedding_parts.numbers(str(tmp_path / "out"))
  parts = [embedding_parts.read(str(tmp_path / "out"), n) for n in numbers]
  assert [len(part.stored) for part in parts] == [256] * len(numbers)


def test_what_cannot_be_embedded_does_not_fail_the_call(model, music, tmp_path):
  (tmp_path / "a.mp3").write_text("no music")
  os.link(music / "000.wav", tmp_path / "b.wav")
  done = _run(f"--model={model}", "--output=o", "a.mp3", "b.wav", cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert "o/rejected.jsonl" in done.stderr
