"""Sounds on which the formats of an export are compared."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from music_embed.audio import decode
from music_embed.core import errors, types

MAX_FILES = 8
"""Of a folder."""

MAX_S = 60.0
"""Of a file."""

_SYNTHESISED_S = (11.0, 7.5, 3.1, 0.7)
_SUFFIXES = (
  *(".mp3", ".flac", ".wav", ".ogg", ".opus", ".oga"),
  *(".aif", ".aiff", ".m4a", ".aac"),
)


@dataclasses.dataclass(frozen=True)
class Sounds:
  """Waveforms, and where they come from.

  Attributes:
    kind: "audio files" or "synthesised sound".
    waveforms: float32 [samples] each, at the front end's rate.
    seconds: of all of them.
  """

  kind: str
  waveforms: Sequence[npt.NDArray[np.float32]]
  seconds: float

  def to_json(self) -> dict[str, object]:
    """What a model card says; no names."""
    return {
      "kind": self.kind,
      "recordings": len(self.waveforms),
      "seconds": round(self.seconds, 1),
    }


def of(paths: Sequence[str], front_end: types.LogMelFrontEnd) -> Sounds:
  """The sounds of files and folders; synthesised ones where none are named.

  Args:
    paths: audio files, at most `MAX_S` of each; and folders, of which the
      first `MAX_FILES` audio files by name.
    front_end: gives the rate.

  Raises:
    AudioError: a file that was named is no audio.
    ConfigError: a path does not exist, or a folder has no audio file.
  """
  rate = front_end.sample_rate_hz
  if not paths:
    waveforms = [
      synthesised(seed, seconds, rate)
      for seed, seconds in enumerate(_SYNTHESISED_S)
    ]
    return _sounds("synthesised sound", waveforms, rate)
  found: list[npt.NDArray[np.float32]] = []
  for path in paths:
    found.extend(_decoded(path, rate))
  return _sounds("audio files", found, rate)


def _sounds(
  kind: str, waveforms: list[npt.NDArray[np.float32]], rate: int
) -> Sounds:
  return Sounds(kind, waveforms, sum(map(len, waveforms)) / rate)


def _decoded(path: str, rate: int) -> list[npt.NDArray[np.float32]]:
  """Waveforms of a file, or of a folder's first files."""
  if os.path.isfile(path):
    return [_waveform(path, rate)]
  if not os.path.isdir(path):
    raise errors.ConfigError(f"--check_audio={path}: no such file or folder")
  readable = itertools.islice(_readable(path, rate), MAX_FILES)
  if not (found := list(readable)):
    raise errors.ConfigError(f"--check_audio={path}: no audio file in it")
  return found


def _readable(folder: str, rate: int) -> Iterator[npt.NDArray[np.float32]]:
  """Waveforms of a folder's files, but of those that are damaged."""
  for directory, folders, names in os.walk(folder):
    folders.sort()
    for name in sorted(names):
      if name.lower().endswith(_SUFFIXES):
        try:
          yield _waveform(os.path.join(directory, name), rate)
        except errors.AudioError:
          continue


def _waveform(path: str, rate: int) -> npt.NDArray[np.float32]:
  return decode.decode(path, sample_rate_hz=rate, max_s=MAX_S).waveform


def synthesised(
  seed: int, duration_s: float, sample_rate_hz: int
) -> npt.NDArray[np.float32]:
  """Notes that ring out over a beat: as wide a range as music has.

  Args:
    seed: of notes, loudness and noise.
    duration_s: length.
    sample_rate_hz: rate.

  Returns:
    float32 [samples], at most 1 in size.
  """
  rng = np.random.default_rng(seed)
  time = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
  sound = np.zeros_like(time)
  beat_s = rng.uniform(0.25, 0.6)
  for onset_s in np.arange(0.0, duration_s, beat_s):
    since = np.maximum(time - onset_s, 0.0)
    ring = np.where(time >= onset_s, np.exp(-since / rng.uniform(0.1, 0.8)), 0)
    hz = 110.0 * 2.0 ** (rng.integers(0, 37) / 12.0)
    for harmonic in range(1, 6):
      tone = np.sin(2 * np.pi * harmonic * hz * since)
      sound += rng.uniform(0.1, 1.0) / harmonic * ring * tone
    sound += 0.3 * rng.normal(size=len(time)) * ring**8
  sound += 0.003 * rng.normal(size=len(time))
  loudest = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
  return (rng.uniform(0.2, 0.9) * sound / loudest).astype(np.float32)
