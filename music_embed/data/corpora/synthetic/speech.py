"""Talk-like sounds, for recordings that are mostly no music."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.data.corpora.synthetic import instruments

SAMPLE_RATE_HZ = instruments.SAMPLE_RATE_HZ

_SYLLABLE_S = 0.22
_PAUSE_SHARE = 0.2

Signal = npt.NDArray[np.float32]


def talk_over(
  music: Signal, music_share: float, rng: np.random.Generator
) -> Signal:
  """Replaces all but the first part of the music by talk.

  Args:
    music: [channels, samples].
    music_share: part of the time that stays music.
    rng: source of the talk.

  Returns:
    [channels, samples].
  """
  start = round(music_share * music.shape[1])
  result = music.copy()
  loudness = float(np.sqrt(np.mean(np.square(music)))) + 1e-6
  result[:, start:] = loudness * talk(music.shape[1] - start, rng)
  return result


def talk(num_samples: int, rng: np.random.Generator) -> Signal:
  """A monotonous stream of voiced syllables: float32 [samples], rms one."""
  voice_hz = rng.uniform(90.0, 220.0)
  result = np.zeros(num_samples, np.float32)
  length = round(_SYLLABLE_S * SAMPLE_RATE_HZ)
  time = np.arange(length) / SAMPLE_RATE_HZ
  envelope = np.sin(np.pi * time / _SYLLABLE_S)
  for start in range(0, num_samples, length):
    if rng.random() < _PAUSE_SHARE:
      continue
    hz = voice_hz * np.exp(rng.normal(0.0, 0.08))
    formants = rng.uniform([300.0, 900.0], [800.0, 2400.0])
    syllable = envelope * _vowel(time, hz, formants)
    place = result[start : start + length]
    place += syllable[: len(place)].astype(np.float32)
  rms = float(np.sqrt(np.mean(np.square(result)))) + 1e-6
  return result / np.float32(rms)


def _vowel(
  time: npt.NDArray[np.float64], hz: float, formants: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
  """Harmonics weighted by two resonances."""
  harmonics = hz * np.arange(1, int(3500.0 / hz))
  distance = (harmonics[:, None] - formants) / 150.0
  weights = (1.0 / (1.0 + distance**2)).sum(axis=1)
  waves = np.sin(2.0 * np.pi * np.outer(harmonics, time))
  return (weights[:, None] * waves).sum(axis=0)
