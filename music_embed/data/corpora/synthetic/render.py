"""From a recording's style to its sound: arrangement, then production."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from music_embed.core import seeds
from music_embed.data.corpora.synthetic import drums, instruments, speech
from music_embed.data.corpora.synthetic.world import (
  SCALES,
  STEPS_PER_BAR,
  Recording,
  Style,
  World,
)

SAMPLE_RATE_HZ = instruments.SAMPLE_RATE_HZ

_LEAD, _CHORDS, _BASS, _DRUMS = range(4)
_ROOT_MIDI = 48
_FLATTENED = (4, 9, 11)  # What "dark" lowers: third, sixth and seventh.
_EQ_KNOTS = 9
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


def render(world: World, index: int) -> Signal:
  """Renders one recording.

  Args:
    world: the world.
    index: of the recording.

  Returns:
    float32 [samples, channels] in [-1, 1] at `SAMPLE_RATE_HZ`; the mean of
    the channels does not depend on their number.
  """
  recording = world.recordings[index]
  rng = seeds.generator(world.config.seed, "synthetic/render", index)
  layers = _Arrangement(world, recording, rng).layers()
  return _produce(world, recording, layers, rng)


class _Arrangement:
  """Writes the notes of one recording onto four layers."""

  def __init__(
    self, world: World, recording: Recording, rng: np.random.Generator
  ) -> None:
    artist = world.artists[recording.artist]
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
      if playing[_CHORDS]:
        self._play_chords(bar * bar_s, chord)
      if playing[_BASS]:
        self._play_bass(bar * bar_s, chord)
      if playing[_LEAD]:
        self._play_lead(bar * bar_s, chord, self._melody[bar % 2])
      if playing[_DRUMS]:
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
          _CHORDS,
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
        _BASS, pitch, start_s + step * self._step_s, 3 * self._step_s, 1.0
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
        _LEAD, pitch, start_s + self._swung_s(step), duration_s, 1.0
      )

  def _play_drums(self, start_s: float) -> None:
    for stroke, pattern in zip(self._strokes, self._style.rhythm, strict=True):
      for step in np.flatnonzero(pattern).tolist():
        level = float(self._rng.uniform(0.6, 1.0))
        self._add(_DRUMS, stroke, start_s + self._swung_s(step), level)

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


def _produce(
  world: World,
  recording: Recording,
  layers: Signal,
  rng: np.random.Generator,
) -> Signal:
  """Mix, equaliser, noise floor and gain: all of them random nuisances."""
  style = world.artists[recording.artist].style
  levels = np.exp(rng.normal(0.0, 0.45, 4))
  levels[_DRUMS] *= style.drum_level
  pans = rng.uniform(-0.6, 0.6, 4)
  response_knots = rng.normal(0.0, world.config.eq_db, _EQ_KNOTS)
  is_dull = rng.random() < 0.2
  noise_db = rng.uniform(*world.config.noise_floor_db)
  gain_db = rng.uniform(-10.0, 4.0)

  # Left and right differ by the pans, and their mean is the mono mix.
  sides = [0.0] if recording.num_channels == 1 else [-1.0, 1.0]
  weights = np.stack([levels * (1.0 + side * pans) for side in sides])
  mix = weights.astype(np.float32) @ layers
  mix = _equalise(mix, response_knots, is_dull)
  if recording.music_share < 0.5:
    mix = speech.talk_over(mix, recording.music_share, rng)
  mix /= np.sqrt(np.mean(np.square(mix.mean(0)))) + 1e-9
  noise = rng.standard_normal(mix.shape[1], dtype=np.float32)
  mix += np.float32(10.0 ** (noise_db / 20.0)) * noise
  mix *= np.float32(0.08 * 10.0 ** (gain_db / 20.0))
  return np.clip(mix.T, -1.0, 1.0)


def _equalise(
  mix: Signal, knots_db: npt.NDArray[np.float64], is_dull: bool
) -> Signal:
  """Applies a smooth random response, even over octaves, to [..., samples]."""
  num_samples = mix.shape[-1]
  length = scipy.fft.next_fast_len(num_samples, real=True)
  hz = scipy.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
  octaves = np.log2(np.maximum(hz, 40.0) / 40.0)
  position = octaves / octaves[-1] * (len(knots_db) - 1)
  response_db = np.interp(position, np.arange(len(knots_db)), knots_db)
  if is_dull:
    response_db -= 30.0 * np.clip((hz - 3500.0) / 1000.0, 0.0, 1.0)
  response = (10.0 ** (response_db / 20.0)).astype(np.float32)
  spectrum = scipy.fft.rfft(mix, n=length, axis=-1)
  equalised = scipy.fft.irfft(spectrum * response, n=length, axis=-1)
  return equalised[..., :num_samples]
