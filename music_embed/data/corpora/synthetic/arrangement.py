"""Writes the notes of a recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.data.corpora.synthetic import drums, instruments
from music_embed.data.corpora.synthetic.styles import (
  SCALES,
  STEPS_PER_BAR,
  Style,
)
from music_embed.data.corpora.synthetic.world import Artist, Recording

SAMPLE_RATE_HZ = instruments.SAMPLE_RATE_HZ

LEAD, CHORDS, BASS, DRUMS = range(4)
"""Layers of an arrangement."""

_ROOT_MIDI = 48
_FLATTENED = (4, 9, 11)  # What "dark" lowers: third, sixth and seventh.
_HELD_LEGATO = 1.2

# Which layers play in a section; everything, most of the time.
_SECTIONS = (
  *[(True, True, True, True)] * 3,
  (True, True, False, True),
  (False, True, True, False),
  (True, False, True, True),
  (False, True, True, True),
)

Signal = npt.NDArray[np.float32]


class Arrangement:
  """Writes the notes of one recording onto four layers."""

  def __init__(
    self, artist: Artist, recording: Recording, rng: np.random.Generator
  ) -> None:
    """Decides on tempo, key, progression and melody."""
    self._style = artist.style
    self._rng = rng
    pace = 1.06 if recording.is_fast else 0.94
    tempo_bpm = self._style.tempo_bpm * pace * np.exp(rng.normal(0.0, 0.03))
    self._step_s = 60.0 / tempo_bpm / 4.0
    self._num_samples = round(recording.duration_s * SAMPLE_RATE_HZ)
    tail = 4 * SAMPLE_RATE_HZ  # Room for the last notes, cut off later.
    self._layers = np.zeros((4, self._num_samples + tail), np.float32)
    self._scale = _scale(self._style, recording.is_dark)
    self._root = _ROOT_MIDI + int(rng.integers(-6, 6))
    self._progression = np.array(artist.progression)
    if rng.random() < 0.5:
      self._progression = rng.permutation(self._progression)
    self._notes: dict[tuple[int, int, float], Signal] = {}
    self._strokes = [
      drums.hit(drum, pitch=pitch, rng=rng)
      for drum, pitch in zip(
        self._style.drums, self._style.drum_pitches.tolist(), strict=True
      )
    ]
    self._melody = (
      rng.random((2, STEPS_PER_BAR)) < self._style.density
    )  # Two bars in turn.
    self._degree = 0

  def layers(self) -> Signal:
    """Lead, chords, bass and drums: float32 [4, samples]."""
    bar_s = STEPS_PER_BAR * self._step_s
    num_bars = int(self._num_samples / SAMPLE_RATE_HZ / bar_s) + 1
    playing = _SECTIONS[0]
    for bar in range(num_bars):
      if bar % 2 == 0:
        playing = _SECTIONS[self._rng.integers(len(_SECTIONS))]
      chord = int(self._progression[bar % 4])
      if playing[CHORDS]:
        self._play_chords(bar * bar_s, chord)
      if playing[BASS]:
        self._play_bass(bar * bar_s, chord)
      if playing[LEAD]:
        self._play_lead(bar * bar_s, chord, self._melody[bar % 2])
      if playing[DRUMS]:
        self._play_drums(bar * bar_s)
    return self._layers[:, : self._num_samples]

  def _play_chords(self, start_s: float, chord: int) -> None:
    held = self._style.legato > _HELD_LEGATO
    repeats = 1 if held else 4
    length_s = STEPS_PER_BAR * self._step_s / repeats
    for repeat in range(repeats):
      for third in (0, 2, 4):
        pitch = self._root + 12 + self._semitones(chord + third)
        self._add_note(
          CHORDS,
          pitch,
          start_s + repeat * length_s,
          min(0.95 * length_s, 2.5),
          0.6,
        )

  def _play_bass(self, start_s: float, chord: int) -> None:
    steps = (0, 6, 8, 14) if self._style.density > 0.45 else (0, 8)
    pitch = self._root - 12 + self._semitones(chord)
    for step in steps:
      self._add_note(
        BASS, pitch, start_s + step * self._step_s, 3 * self._step_s, 1.0
      )

  def _play_lead(
    self, start_s: float, chord: int, melody: npt.NDArray[np.bool_]
  ) -> None:
    duration_s = 1.5 * self._style.legato * self._step_s
    register = int(self._style.register)
    for step in np.flatnonzero(melody).tolist():
      wander = self._degree + int(self._rng.integers(-2, 3))
      self._degree = int(np.clip(wander, -4, 8))
      pitch = self._root + 12 + register + self._semitones(chord + self._degree)
      self._add_note(
        LEAD, pitch, start_s + self._swung_s(step), duration_s, 1.0
      )

  def _play_drums(self, start_s: float) -> None:
    for stroke, pattern in zip(self._strokes, self._style.rhythm, strict=True):
      for step in np.flatnonzero(pattern).tolist():
        level = float(self._rng.uniform(0.6, 1.0))
        self._add(DRUMS, stroke, start_s + self._swung_s(step), level)

  def _swung_s(self, step: int) -> float:
    return (step + self._style.swing * (step % 2)) * self._step_s

  def _semitones(self, degree: int) -> int:
    octave, place = divmod(degree, len(self._scale))
    return 12 * octave + self._scale[place]

  def _add_note(
    self, layer: int, midi: int, start_s: float, duration_s: float, level: float
  ) -> None:
    # Lengths on a coarse grid, so that most notes are synthesised only once.
    duration_s = round(duration_s * 8) / 8 + 0.06
    key = layer, midi, duration_s
    if key not in self._notes:
      self._notes[key] = instruments.play(
        self._style.instruments[layer],
        hz=440.0 * 2.0 ** ((midi - 69) / 12),
        duration_s=duration_s,
        timbre=instruments.Timbre(*self._style.timbres[layer].tolist()),
        rng=self._rng,
      )
    self._add(layer, self._notes[key], start_s, level)

  def _add(
    self, layer: int, sound: Signal, start_s: float, level: float
  ) -> None:
    start = int(start_s * SAMPLE_RATE_HZ)
    if start < self._num_samples:
      place = self._layers[layer, start : start + len(sound)]
      place += np.float32(level) * sound[: len(place)]


def _scale(style: Style, is_dark: bool) -> tuple[int, ...]:
  scale = SCALES[style.scale]
  if not is_dark:
    return scale
  return tuple(tone - (tone in _FLATTENED) for tone in scale)
