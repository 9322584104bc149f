"""Seven synthetic drums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000

_TWO_PI = 2.0 * np.pi

Signal = npt.NDArray[np.float32]
_Sound = npt.NDArray[np.floating[Any]]
_Drum = Callable[[Signal, Signal, float], _Sound]


def _bright(noise: Signal) -> _Sound:
  """Differences of noise: its treble."""
  return np.diff(noise, prepend=np.float32(0.0))


def _shaker(t: Signal, noise: Signal, pitch: float) -> _Sound:
  return _bright(0.5 * noise * np.exp(-t * (60 + 60 * pitch)))


def _kick(t: Signal, noise: Signal, pitch: float) -> _Sound:
  sweep = 50 * t + (3 + 3 * pitch) * (1 - np.exp(-30 * t))
  return np.sin(_TWO_PI * sweep) * np.exp(-14 * t)


def _snare(t: Signal, noise: Signal, pitch: float) -> _Sound:
  skin = np.sin(_TWO_PI * (170 + 60 * pitch) * t)
  return 0.6 * (noise + skin) * np.exp(-25 * t)


def _hat(t: Signal, noise: Signal, pitch: float) -> _Sound:
  return 0.5 * _bright(noise) * np.exp(-t * (80 + 80 * pitch))


def _tom(t: Signal, noise: Signal, pitch: float) -> _Sound:
  return np.sin(_TWO_PI * ((90 + 80 * pitch) * t + 40 * t * t)) * np.exp(
    -10 * t
  )


def _cymbal(t: Signal, noise: Signal, pitch: float) -> _Sound:
  shimmer = 1 + np.sin(_TWO_PI * 30 * t)
  return 0.4 * _bright(noise) * np.exp(-18 * t) * shimmer


def _block(t: Signal, noise: Signal, pitch: float) -> _Sound:
  return np.sin(_TWO_PI * (700 + 500 * pitch) * t) * np.exp(-50 * t)


_DRUMS: dict[str, tuple[float, _Drum]] = {
  "shaker": (0.08, _shaker),
  "kick": (0.25, _kick),
  "snare": (0.18, _snare),
  "hat": (0.06, _hat),
  "tom": (0.30, _tom),
  "cymbal": (0.20, _cymbal),
  "block": (0.12, _block),
}
"""Length in seconds and sound of each drum."""

NAMES = tuple(_DRUMS)


def _indices(*names: str) -> tuple[int, ...]:
  return tuple(NAMES.index(name) for name in names)


LOW = _indices("kick", "tom")
MIDDLE = _indices("snare", "shaker", "block", "tom")
HIGH = _indices("hat", "cymbal", "shaker")


def hit(drum: int, *, pitch: float, rng: np.random.Generator) -> Signal:
  """Synthesises one stroke.

  Args:
    drum: index into `NAMES`.
    pitch: in [0, 1].
    rng: source of the noise.

  Returns:
    float32 [samples] at `SAMPLE_RATE_HZ`.
  """
  duration_s, sound = _DRUMS[NAMES[drum]]
  num_samples = int(duration_s * SAMPLE_RATE_HZ)
  time = np.arange(num_samples, dtype=np.float32) / SAMPLE_RATE_HZ
  noise = rng.standard_normal(num_samples, dtype=np.float32)
  return (0.5 * sound(time, noise, pitch)).astype(np.float32)
