"""Workers that decode, fail, crash and hang."""

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

from music_embed.core import types
from music_embed.data.ingestion import featurize, pool
from music_embed.data.records import quantize

_FRONT_END = types.LogMelFrontEnd()
_QUANTIZATION = types.Quantization.default(_FRONT_END)


def _pool(num_workers: int = 1, time_limit_s: float = 60.0) -> pool.WorkerPool:
  return pool.WorkerPool(
    num_workers=num_workers,
    front_end=_FRONT_END,
    quantization=_QUANTIZATION,
    max_duration_s=6.0,
    time_limit_s=time_limit_s,
  )


def _write_tone(path: pathlib.Path, seconds: float, hz: float = 440.0) -> str:
  samples = np.arange(round(16_000 * seconds))
  tone = 0.5 * np.sin(2 * np.pi * hz / 16_000 * samples)
  soundfile.write(path, tone.astype(np.float32), 16_000, subtype="FLOAT")
  return str(path)


def _children() -> list[psutil.Process]:
  return [
    process
    for process in psutil.Process().children()
    if any("ingestion.worker" in word for word in process.cmdline())
  ]


def test_outcomes_come_in_the_order_of_the_files(
  tmp_path: pathlib.Path,
) -> None:
  seconds = [5.0, 0.5, 4.0, 3.5, 0.01, 7.0]
  paths = [
    _write_tone(tmp_path / f"{i}.wav", s, hz=300 + 200 * i)
    for i, s in enumerate(seconds)
  ]
  paths.insert(2, str(tmp_path / "missing.wav"))
  with _pool(num_workers=2) as workers:
    outcomes = list(workers.map(paths))
  assert outcomes[2].reason == "no such file"
  assert outcomes[5].reason == "shorter than one frame"
  used = [o.features for o in outcomes if o.features is not None]
  assert [len(features.rows) for features in used] == [
    498,
    300,
    398,
    348,
    598,
  ]
  assert [f.flags for f in used] == [(), ("short",), (), (), ("long",)]
  here = featurize.featurize(
    paths[0], _FRONT_END, _QUANTIZATION, max_duration_s=6.0
  )
  np.testing.assert_array_equal(used[0].rows, here.rows)
  assert not _children()


def test_a_short_recording_ends_in_silence(tmp_path: pathlib.Path) -> None:
  path = _write_tone(tmp_path / "short.wav", 1.0)
  found = featurize.featurize(
    path, _FRONT_END, _QUANTIZATION, max_duration_s=6.0
  )
  silence = np.log(np.float32([_FRONT_END.log_offset]))
  expected = quantize.quantize(silence, _QUANTIZATION)[0]
  assert (found.rows[98:] == expected).all()
  assert not (found.rows[:98] == expected).all()


def test_a_file_on_which_a_worker_dies_once_is_tried_again(
  tmp_path: pathlib.Path,
) -> None:
  fifo = tmp_path / "0.wav"
  paths = [_write_tone(tmp_path / f"{i}.wav", 4.0) for i in range(6)]
  with _pool() as workers:
    outcomes = workers.map(paths)
    first = next(outcomes)
    for process in _children():
      process.kill()
    rest = list(outcomes)
  assert first.features is not None
  assert [o.reason for o in rest] == [""] * 5
  assert fifo.exists()


def test_a_file_that_kills_its_workers_is_rejected_alone(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  # A decoder that crashes, loaded by the real worker through its own path.
  (tmp_path / "sitecustomize.py").write_text(
    "import os, soundfile\n"
    "class Decoder(soundfile.SoundFile):\n"
    "  def __init__(self, path, *rest, **named):\n"
    "    if 'crash' in str(path): os.abort()\n"
    "    super().__init__(path, *rest, **named)\n"
    "soundfile.SoundFile = Decoder\n"
  )
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  names = ["0.wav", "crash.wav", "2.wav", "3.wav", "crash2.wav"]
  paths = [_write_tone(tmp_path / name, 4.0) for name in names]
  with _pool() as workers:
    reasons = [outcome.reason for outcome in workers.map(paths)]
  crashed = "the decoder crashed on it (SIGABRT)"
  assert reasons == ["", crashed, "", "", crashed]


def test_a_file_that_takes_too_long_is_given_up(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  (tmp_path / "sitecustomize.py").write_text(
    "import soundfile, time\n"
    "class Decoder(soundfile.SoundFile):\n"
    "  def __init__(self, path, *rest, **named):\n"
    "    if 'slow' in str(path): time.sleep(1000)\n"
    "    super().__init__(path, *rest, **named)\n"
    "soundfile.SoundFile = Decoder\n"
  )
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  names = ["0.wav", "slow.wav", "2.wav"]
  paths = [_write_tone(tmp_path / name, 4.0) for name in names]
  with _pool(time_limit_s=2.0) as workers:
    reasons = [outcome.reason for outcome in workers.map(paths)]
  assert reasons == ["", "decoding it took longer than 2 s", ""]


def test_workers_that_cannot_start_are_an_error_not_a_rejection(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  (tmp_path / "soundfile.py").write_text("raise ImportError('no libsndfile')")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  with _pool() as workers, pytest.raises(RuntimeError, match="could not start"):
    list(workers.map(["some.wav"]))


def test_workers_end_when_their_parent_is_killed(
  tmp_path: pathlib.Path,
) -> None:
  path = _write_tone(tmp_path / "tone.wav", 4.0)
  script = (
    "import itertools, sys\n"
    "from music_embed.core import types\n"
    "from music_embed.data.ingestion import pool\n"
    "workers = pool.WorkerPool(num_workers=2, max_duration_s=6.0,\n"
    "  time_limit_s=60.0, front_end=types.LogMelFrontEnd(),\n"
    "  quantization=types.Quantization.default(types.LogMelFrontEnd()))\n"
    f"for _ in workers.map(itertools.repeat({path!r})):\n"
    "  print('one', flush=True)\n"
  )
  root = pathlib.Path(pool.__file__).parents[3]
  parent = subprocess.Popen(
    [sys.executable, "-c", script],
    stdout=subprocess.PIPE,
    env=os.environ | {"PYTHONPATH": str(root)},
  )
  assert parent.stdout is not None
  assert parent.stdout.readline() == b"one\n"
  workers = psutil.Process(parent.pid).children()
  assert len(workers) == 2
  parent.send_signal(signal.SIGKILL)
  parent.communicate()
  deadline = time.monotonic() + 20
  while time.monotonic() < deadline and any(map(_is_running, workers)):
    time.sleep(0.05)
  assert not any(map(_is_running, workers))


def _is_running(process: psutil.Process) -> bool:
  try:
    return process.status() != psutil.STATUS_ZOMBIE
  except psutil.NoSuchProcess:
    return False
