"""Ten synthetic instruments: one note each, from few parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000

_HIGHEST_HZ = 7_600.0
_NOTE_RMS = 0.12
_TWO_PI = 2.0 * np.pi

Signal = npt.NDArray[np.float32]
_Rng = np.random.Generator


@dataclasses.dataclass(frozen=True)
class Timbre:
  """How an instrument is played: each number lies in [0, 1]."""

  brightness: float
  wobble: float
  attack: float


@dataclasses.dataclass(frozen=True)
class _Note:
  """Pitch and time axis of one note."""

  hz: float
  time: Signal
  duration_s: float

  @property
  def num_harmonics(self) -> int:
    """Harmonics below the highest frequency that is synthesised."""
    return max(1, int(min(14, _HIGHEST_HZ / self.hz)))

  def phase(self, factor: float = 1.0) -> npt.NDArray[np.float64]:
    """Phase of a steady sine, radians."""
    cycles = factor * self.hz * self.time.astype(np.float64)
    cycles -= np.floor(cycles)  # Much faster than %.
    return _TWO_PI * cycles

  def sine(self, factor: float = 1.0) -> Signal:
    """A steady sine at `factor` times the pitch."""
    return _sin(self.phase(factor))

  def decay(self, rate: float) -> Signal:
    """Exponential decay, `rate` nepers a second."""
    return np.exp(np.float32(-rate) * self.time)

  def vibrato(self, hz: float) -> Signal:
    """A slow sine."""
    return np.sin(np.float32(_TWO_PI * hz) * self.time)

  def envelope(self, attack_s: float, release_s: float) -> Signal:
    """Linear attack and release around a steady middle."""
    rising = self.time / max(attack_s, 1e-4)
    falling = (self.duration_s - self.time) / max(release_s, 1e-4)
    return np.clip(np.minimum(rising, falling), 0.0, 1.0).astype(np.float32)


def _sin(phase: npt.NDArray[np.float64]) -> Signal:
  return np.sin(phase.astype(np.float32))


def _harmonics(
  phase: npt.NDArray[np.float64],
  amplitudes: Sequence[float],
  radius: Signal | None = None,
) -> Signal:
  """Sum of amplitudes[h - 1] * radius**h * sin(h * phase), by Horner's rule.

  Args:
    phase: of the first harmonic [samples].
    amplitudes: of the harmonics from the first on.
    radius: [samples] in [0, 1]; higher harmonics fade faster with it.
  """
  z = np.exp(1j * phase).astype(np.complex64)
  if radius is not None:
    z *= radius
  total = np.full(len(phase), amplitudes[-1], np.complex64)
  for amplitude in amplitudes[-2::-1]:
    total *= z
    total += np.complex64(amplitude)
  return (total * z).imag


def _organ(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  bright = timbre.brightness
  stops = [1.0, 0.8, 0.5 + 0.5 * bright, 0.3, 0.0, 0.3 * bright, 0.0]
  drawbars = [*stops, 0.2 * bright][: note.num_harmonics]
  tremolo = 1.0 + 0.5 * timbre.wobble * note.vibrato(6.0)
  return (
    _harmonics(note.phase(), drawbars) * tremolo * note.envelope(0.02, 0.03)
  )


def _guitar(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  slope = 1.3 - 0.8 * timbre.brightness
  amplitudes = [h**-slope for h in range(1, note.num_harmonics + 1)]
  damping = note.decay(1.6 * (1.3 - timbre.brightness))
  return _harmonics(note.phase(), amplitudes, damping) * note.decay(2.0)


def _bell(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  depth = 1.0 + 3.0 * timbre.brightness
  modulator = note.sine(1.4 + 0.6 * timbre.wobble) * note.decay(3.0)
  return _sin(note.phase() + depth * modulator) * note.decay(2.2)


def _brass(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  swell = np.minimum(note.time / (0.03 + 0.08 * timbre.attack), 1.0)
  depth = (1.0 + 3.0 * timbre.brightness) * swell
  tone = _sin(note.phase() + depth * note.sine())
  return tone * swell * note.envelope(0.01, 0.05)


def _strings(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  depth = (0.15 + 0.5 * timbre.wobble) * note.hz / 60.0
  phase = note.phase() + depth * note.vibrato(4.5 + 2.0 * timbre.attack)
  slope = 1.4 - 0.6 * timbre.brightness
  amplitudes = [h**-slope for h in range(1, note.num_harmonics + 1)]
  return _harmonics(phase, amplitudes) * note.envelope(0.04, 0.05)


def _reed(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  amplitudes = [h % 2 / h for h in range(1, note.num_harmonics + 1)]
  fade = 1.0 - 0.6 * timbre.brightness * note.time / note.duration_s
  return (
    _harmonics(note.phase(), amplitudes) * fade * note.envelope(0.003, 0.01)
  )


def _flute(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  phase = note.phase() + 0.3 * timbre.wobble * note.vibrato(5.0)
  breath = rng.standard_normal(len(note.time), dtype=np.float32)
  tone = _sin(phase) + 0.25 * note.sine(2.0)
  tone += (0.08 + 0.15 * timbre.brightness) * breath
  return tone * note.envelope(0.05 + 0.08 * timbre.attack, 0.06)


def _distortion(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  amplitudes = [1.0 / h for h in range(1, note.num_harmonics // 2 + 2)]
  power_chord = _harmonics(note.phase(), amplitudes)
  power_chord += _harmonics(note.phase(1.5), amplitudes)
  drive = 2.0 + 5.0 * timbre.brightness
  return np.tanh(drive * power_chord) * note.envelope(0.005, 0.03)


def _piano(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  tine = 0.8 * timbre.brightness * note.decay(8.0) * note.sine(7.0)
  tremolo = 1.0 + 0.4 * timbre.wobble * note.vibrato(5.0)
  return _sin(note.phase() + tine) * note.decay(1.8) * tremolo


def _synth(note: _Note, timbre: Timbre, rng: _Rng) -> Signal:
  dive = 2.0 * timbre.wobble * note.decay(20.0)
  tone = _sin(note.phase() + dive) * note.envelope(0.01, 0.05)
  return tone + 0.3 * timbre.brightness * note.sine(2.0) * note.decay(4.0)


_Player = Callable[[_Note, Timbre, _Rng], Signal]

_PLAYERS: dict[str, _Player] = {
  "organ": _organ,
  "guitar": _guitar,
  "bells": _bell,
  "brass": _brass,
  "strings": _strings,
  "reed": _reed,
  "flute": _flute,
  "distortion": _distortion,
  "piano": _piano,
  "synth": _synth,
}

NAMES = tuple(_PLAYERS)
"""Instruments, in the order of their indices."""


def play(
  instrument: int,
  *,
  hz: float,
  duration_s: float,
  timbre: Timbre,
  rng: np.random.Generator,
) -> Signal:
  """Synthesises one note.

  Args:
    instrument: index into `NAMES`.
    hz: pitch.
    duration_s: length.
    timbre: how it is played.
    rng: source of breath noise.

  Returns:
    float32 [samples] at `SAMPLE_RATE_HZ`, all notes equally loud.
  """
  num_samples = int(duration_s * SAMPLE_RATE_HZ)
  time = np.arange(num_samples, dtype=np.float32) / SAMPLE_RATE_HZ
  note = _Note(hz=hz, time=time, duration_s=duration_s)
  signal = _PLAYERS[NAMES[instrument]](note, timbre, rng)
  rms = float(np.sqrt(np.mean(np.square(signal)))) + 1e-6
  return (signal * (_NOTE_RMS / rms)).astype(np.float32)
