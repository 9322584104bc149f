"""Preparing a dataset from mp3s, beside decoding the same files alone."""

from __future__ import annotations

import csv
import dataclasses
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import soundfile
import soxr

from music_embed.data.corpora.synthetic import config, render
from music_embed.data.corpora.synthetic import world as world_lib
from tools.performance import measure as measure_lib

RATE_HZ = 44_100
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ENCODINGS = (
  ("CONSTANT", 0.667),  # 128 kbit/s
  ("CONSTANT", 0.222),  # 256 kbit/s
  ("VARIABLE", 0.2),
  ("CONSTANT", 0.0),  # 320 kbit/s
)
"""libsndfile's bit rate mode and compression level of each file."""

_BLOCK_FRAMES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Rates:
  """Audio-seconds per CPU-second, medians over rounds.

  Attributes:
    whole_job: `launch/prepare.py`, all its processes, what an additional
      recording costs (the start of processes and tables left out).
    decode_only: `soundfile.read` of the same files to float32, in memory.
    decode_blocks: the same in blocks into one array, which spares the
      kernel the pages: the least that decoding can take.
    whole_job_ratio: median over rounds of whole_job / decode_only.
    whole_job_blocks_ratio: median over rounds of whole_job / decode_blocks.
  """

  whole_job: float
  decode_only: float
  decode_blocks: float
  whole_job_ratio: float
  whole_job_blocks_ratio: float


def figures(scratch: str) -> list[measure_lib.Figure]:
  """Audio-seconds per CPU-second of preparing a dataset."""
  rates = measure(scratch)
  return [
    measure_lib.Figure(
      "ingestion_mp3",
      rates.whole_job,
      "audio-s/CPU-s",
      "soundfile.read alone",
      rates.decode_only,
      rates.whole_job_ratio,
    ),
    measure_lib.Figure(
      "ingestion_mp3_over_block_decoding",
      rates.whole_job,
      "audio-s/CPU-s",
      "decoding in blocks alone",
      rates.decode_blocks,
      rates.whole_job_blocks_ratio,
    ),
  ]


def measure(
  scratch: str, *, rounds: int = 5, clip_s: float = 180.0, repeats: int = 8
) -> Rates:
  """Measures preparing and decoding alone, in alternating rounds.

  Args:
    scratch: an existing folder for some 100 MB.
    rounds: turns of each.
    clip_s: mean length of an mp3.
    repeats: how often each mp3 is in the table of the longer job. The shorter
      one has each once; the difference of their CPU times is that of
      `repeats - 1` times the files, decoded, stored and checksummed.

  Returns:
    The rates.
  """
  paths = make_mp3s(os.path.join(scratch, "mp3"), clip_s)
  once_s = sum(soundfile.info(path).duration for path in paths)
  audio_s = once_s * (repeats - 1)
  found: dict[str, list[float]] = {"read": [], "blocks": [], "job": []}
  for turn in range(rounds):
    few = _prepare(os.path.join(scratch, f"few{turn}"), paths)
    read_s = _decode_only(paths * (repeats // 2))
    blocks_s = _decode_blocks(paths * (repeats // 2))
    many = _prepare(os.path.join(scratch, f"many{turn}"), paths * repeats)
    found["job"].append(audio_s / (many - few))
    found["read"].append(once_s * (repeats // 2) / read_s)
    found["blocks"].append(once_s * (repeats // 2) / blocks_s)
    measure_lib.say(
      f"  round {turn + 1} of {rounds}: {found['job'][-1]:,.0f} audio-s/CPU-s,"
      f" decoding alone {found['read'][-1]:,.0f}"
    )
  return Rates(
    whole_job=statistics.median(found["job"]),
    decode_only=statistics.median(found["read"]),
    decode_blocks=statistics.median(found["blocks"]),
    whole_job_ratio=_median_ratio(found["job"], found["read"]),
    whole_job_blocks_ratio=_median_ratio(found["job"], found["blocks"]),
  )


def make_mp3s(directory: str, clip_s: float) -> list[str]:
  """Encodes stereo music of the synthetic world, a file each encoding.

  The world has no sound above 8 kHz; another recording of it, played at
  44.1 kHz, fills the band up to where the encoder cuts.

  Args:
    directory: where to; files that are there already are kept.
    clip_s: mean length of a recording.

  Returns:
    The files, 44.1 kHz stereo.
  """
  os.makedirs(directory, exist_ok=True)
  tasks = [(directory, clip_s, number) for number in range(len(_ENCODINGS))]
  with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
    return pool.starmap(_make_mp3, tasks)


def _make_mp3(directory: str, clip_s: float, number: int) -> str:
  path = os.path.join(directory, f"{number}.mp3")
  if os.path.exists(path):
    return path
  world = world_lib.make_world(
    dataclasses.replace(config.tiny_config(), clip_s=clip_s)
  )
  stereo = dataclasses.replace(
    world,
    recordings=tuple(
      dataclasses.replace(recording, num_channels=2, music_share=1.0)
      for recording in world.recordings
    ),
  )
  low = soxr.resample(
    render.render(stereo, 2 * number), render.SAMPLE_RATE_HZ, RATE_HZ
  )
  high = np.resize(render.render(stereo, 2 * number + 1), low.shape)
  mode, level = _ENCODINGS[number]
  with soundfile.SoundFile(
    path + ".part",
    "w",
    RATE_HZ,
    2,
    format="MP3",
    subtype="MPEG_LAYER_III",
    bitrate_mode=mode,
    compression_level=level,
  ) as file:
    file.write(np.clip(low + 0.3 * high, -1.0, 1.0))
  os.replace(path + ".part", path)
  return path


def _prepare(directory: str, paths: list[str]) -> float:
  """CPU-seconds of the command, with one worker, and all its processes."""
  os.makedirs(directory)
  recordings = os.path.join(directory, "recordings.csv")
  with open(recordings, "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("recording_id", "audio", "title", "description"))
    for number, path in enumerate(paths):
      text = f"take {number}", f"words about song {number % 7}, live in studio"
      writer.writerow((f"r{number:05d}", os.path.abspath(path), *text))
  log = os.path.join(directory, "log.csv")
  with open(log, "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("user_id", "recording_id"))
    for user in range(8):
      writer.writerows((f"u{user}", f"r{n:05d}") for n in range(len(paths)))
  command = (
    sys.executable,
    str(_ROOT / "launch" / "prepare.py"),
    f"--recordings={recordings}",
    f"--listening_log={log}",
    f"--output={os.path.join(directory, 'dataset')}",
    "--num_workers=1",
  )
  before = os.times()
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  after = os.times()
  if done.returncode:
    raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
  return (
    after.children_user
    + after.children_system
    - before.children_user
    - before.children_system
  )


def _decode_only(paths: list[str]) -> float:
  began = time.process_time()
  for path in paths:
    soundfile.read(path, dtype="float32")
  return time.process_time() - began


def _decode_blocks(paths: list[str]) -> float:
  began = time.process_time()
  for path in paths:
    with _Unseekable(path) as file:
      block = np.empty((_BLOCK_FRAMES, file.channels), np.float32)
      while len(file.read(out=block)):
        pass
  return time.process_time() - began


class _Unseekable(soundfile.SoundFile):
  """Reads on where the last read ended, without seeking there."""

  def seekable(self) -> bool:
    return False


def _median_ratio(values: list[float], references: list[float]) -> float:
  pairs = zip(values, references, strict=True)
  return statistics.median(value / reference for value, reference in pairs)
