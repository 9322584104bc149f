"""Workers that stream windows, fail, crash, hang and wait."""

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

from music_embed.audio import streaming
from music_embed.core import types
from music_embed.data.ingestion import window_events, window_pool

_FRONT_END = types.LogMelFrontEnd(window_frames=50)  # Half a second.
_CHUNK = 4


def _pool(
  num_workers: int = 1, time_limit_s: float = 60.0, max_s: float | None = None
) -> window_pool.WindowPool:
  return window_pool.WindowPool(
    num_workers=num_workers,
    front_end=_FRONT_END,
    chunk_windows=_CHUNK,
    max_duration_s=max_s,
    time_limit_s=time_limit_s,
  )


def _write(path: pathlib.Path, seconds: float, seed: int = 0) -> str:
  noise = np.random.default_rng(seed).normal(size=round(16_000 * seconds))
  soundfile.write(path, 0.1 * noise, 16_000)
  return str(path)


def _always(number: int) -> bool:
  return True


def _children() -> list[psutil.Process]:
  return [
    process
    for process in psutil.Process().children()
    if process.status() != psutil.STATUS_ZOMBIE
    and any("window_worker" in word for word in process.cmdline())
  ]


def _windows(events: list[window_events.Event], number: int) -> np.ndarray:
  return np.concatenate(
    [
      event.log_mel
      for event in events
      if isinstance(event, window_events.Windows) and event.number == number
    ]
  )


def _ends(
  events: list[window_events.Event],
) -> dict[int, window_events.Ended]:
  return {e.number: e for e in events if isinstance(e, window_events.Ended)}


def test_windows_are_those_of_the_stream_in_this_process(tmp_path):
  paths = [
    _write(tmp_path / f"{n}.wav", s, n) for n, s in enumerate((5.2, 0.3))
  ]
  with _pool(num_workers=2) as workers:
    events = list(workers.run(paths, _always))
  for number, path in enumerate(paths):
    stream = streaming.log_mel_windows(path, _FRONT_END, chunk_windows=_CHUNK)
    chunks = list(stream)
    np.testing.assert_array_equal(
      _windows(events, number), np.concatenate([c.log_mel for c in chunks])
    )
    starts = [
      event.start_s
      for event in events
      if isinstance(event, window_events.Windows) and event.number == number
    ]
    np.testing.assert_array_equal(
      np.concatenate(starts), np.concatenate([c.start_s for c in chunks])
    )
    assert _ends(events)[number].facts == stream.facts
  assert not _children()


def test_a_file_is_opened_then_given_then_ended(tmp_path):
  path = tmp_path / "a.flac"
  with soundfile.SoundFile(path, "w", 16_000, 1) as file:
    file.title, file.artist = " Séance ", "Ann"
    file.write(np.zeros(16_000 * 5))
  with _pool() as workers:
    events = list(workers.run([str(path)], _always))
  assert [type(event).__name__ for event in events] == [
    *("Opened", "Windows", "Windows", "Windows", "Ended")
  ]
  assert events[0].header == window_events.Header(5.0, "Séance", "Ann")


def test_files_that_cannot_be_used_say_why(tmp_path):
  paths = [
    _write(tmp_path / "0.wav", 1.0),
    str(tmp_path / "missing.wav"),
    str(tmp_path / "text.mp3"),
    _write(tmp_path / "tiny.wav", 0.01),
    _write(tmp_path / "cut.wav", 30.0),
  ]
  (tmp_path / "text.mp3").write_text("no music in here")
  os.truncate(paths[4], 4000)
  with _pool() as workers:
    ends = _ends(list(workers.run(paths, _always)))
  assert [ends[n].facts is None for n in range(5)] == [False, *[True] * 4]
  assert ends[1].reason == "no such file"
  assert ends[2].reason.startswith("not an audio file that can be read")
  assert ends[3].reason == "shorter than one frame"
  assert ends[4].reason.startswith("truncated: 0.12 s could be read")


def test_audio_after_the_longest_duration_is_not_used(tmp_path):
  path = _write(tmp_path / "long.wav", 20.0)
  with _pool(max_s=2.0) as workers:
    events = list(workers.run([path], _always))
  assert _ends(events)[0].facts.duration_s == 2.0
  assert len(_windows(events, 0)) == 4


def test_a_worker_that_dies_midway_costs_no_window_and_gives_none_twice(
  tmp_path,
):
  paths = [_write(tmp_path / f"{n}.wav", 60.0, n) for n in range(3)]
  events: list[window_events.Event] = []
  with _pool() as workers:
    for event in workers.run(paths, _always):
      events.append(event)
      if sum(isinstance(e, window_events.Windows) for e in events) == 3:
        for process in _children():
          process.kill()
  for number, path in enumerate(paths):
    stream = streaming.log_mel_windows(path, _FRONT_END, chunk_windows=_CHUNK)
    np.testing.assert_array_equal(
      _windows(events, number), np.concatenate([c.log_mel for c in stream])
    )
  assert [e.reason for e in _ends(events).values()] == [""] * 3
  opened = [e.number for e in events if isinstance(e, window_events.Opened)]
  assert opened == [0, 1, 2]


def _decoder(tmp_path, monkeypatch, when, then):
  """A decoder that fails, loaded by the real worker through its own path."""
  (tmp_path / "sitecustomize.py").write_text(
    "import os, soundfile, time\n"
    "class Decoder(soundfile.SoundFile):\n"
    "  def read(self, *rest, **named):\n"
    f"    if '{when}' in str(self.name) and self.tell() > 200_000: {then}\n"
    "    return super().read(*rest, **named)\n"
    "soundfile.SoundFile = Decoder\n"
  )
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_a_file_that_kills_its_workers_midway_is_given_up_alone(
  tmp_path, monkeypatch
):
  _decoder(tmp_path, monkeypatch, "crash", "os.abort()")
  names = ["0.wav", "crash.wav", "2.wav", "crash2.wav"]
  paths = [_write(tmp_path / name, 30.0) for name in names]
  with _pool() as workers:
    events = list(workers.run(paths, _always))
  crashed = "the decoder crashed on it (SIGABRT)"
  reasons = [end.reason for _, end in sorted(_ends(events).items())]
  assert reasons == ["", crashed, "", crashed]
  assert len(_windows(events, 1)) > 0


def test_a_file_that_does_not_go_on_is_given_up_alone(tmp_path, monkeypatch):
  _decoder(tmp_path, monkeypatch, "slow", "time.sleep(1000)")
  names = ["0.wav", "slow.wav", "2.wav"]
  paths = [_write(tmp_path / name, 30.0) for name in names]
  with _pool(time_limit_s=2.0) as workers:
    ends = _ends(list(workers.run(paths, _always)))
  assert [end.reason for _, end in sorted(ends.items())] == [
    *("", "decoding it did not go on for 2 s", "")
  ]


def test_files_for_which_there_is_no_room_wait_without_being_given_up(tmp_path):
  """They would be, if waiting counted: it takes longer than their limit."""
  paths = [_write(tmp_path / f"{n}.wav", 40.0, n) for n in range(4)]
  began = time.monotonic()
  events: list[window_events.Event] = []
  ended: set[int] = set()

  def has_room(number: int) -> bool:
    first = min(set(range(4)) - ended)
    return number == first and (number > 0 or time.monotonic() > began + 3)

  with _pool(num_workers=3, time_limit_s=1.5) as workers:
    for event in workers.run(paths, has_room):
      events.append(event)
      if isinstance(event, window_events.Ended):
        ended.add(event.number)
  assert [event.number for event in events] == sorted(
    event.number for event in events
  )
  assert [end.reason for end in _ends(events).values()] == [""] * 4


@pytest.mark.parametrize("seed", range(2))
def test_workers_that_die_while_others_wait_hold_nothing_up(tmp_path, seed):
  rng = np.random.default_rng(seed)
  paths = [_write(tmp_path / f"{n}.wav", 20.0, n) for n in range(8)]
  ended: set[int] = set()
  events: list[window_events.Event] = []
  with _pool(num_workers=3) as workers:

    def has_room(number: int) -> bool:
      return number == min(set(range(8)) - ended)

    for event in workers.run(paths, has_room):
      events.append(event)
      if isinstance(event, window_events.Ended):
        ended.add(event.number)
      if len(events) in (5, 25, 45):
        rng.choice(np.array(_children(), object)).kill()
  whole = [n for n, end in _ends(events).items() if end.facts is not None]
  assert len(whole) >= 7  # Three deaths can be two of one file.
  for number in whole:
    assert len(_windows(events, number)) == 40


def test_no_more_workers_are_started_than_there_are_files(tmp_path):
  path = _write(tmp_path / "0.wav", 1.0)
  most = 0
  with _pool(num_workers=16) as workers:
    for _ in workers.run([path], _always):
      most = max(most, len(_children()))
  assert most == 1


def test_window_workers_that_cannot_start_are_an_error(tmp_path, monkeypatch):
  (tmp_path / "soundfile.py").write_text("raise ImportError('no libsndfile')")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  with _pool() as workers, pytest.raises(RuntimeError, match="could not start"):
    list(workers.run(["some.wav"], _always))


def test_window_workers_end_when_their_parent_is_killed(tmp_path):
  path = _write(tmp_path / "0.wav", 4.0)
  script = (
    "import itertools\n"
    "from music_embed.core import types\n"
    "from music_embed.data.ingestion import window_pool\n"
    "workers = window_pool.WindowPool(num_workers=2, max_duration_s=None,\n"
    "  time_limit_s=60.0, front_end=types.LogMelFrontEnd(), chunk_windows=8)\n"
    f"for _ in workers.run(itertools.repeat({path!r}), lambda number: True):\n"
    "  print('one', flush=True)\n"
  )
  root = pathlib.Path(window_pool.__file__).parents[3]
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
  _, alive = psutil.wait_procs(workers, timeout=20)
  assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
