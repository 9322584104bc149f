"""How music of a genre is made, and how its artists stray from that."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from music_embed.data.corpora.synthetic import drums, instruments

SCALES = (
  (0, 2, 4, 5, 7, 9, 11),
  (0, 2, 3, 5, 7, 8, 10),
  (0, 2, 3, 5, 7, 9, 10),
  (0, 1, 4, 5, 7, 8, 10),
  (0, 2, 4, 7, 9),
  (0, 3, 5, 7, 10),
  (0, 3, 5, 6, 7, 10),
  (0, 2, 4, 6, 8, 10),
  (0, 2, 3, 7, 8),
  (0, 2, 4, 6, 7, 9, 10),
)
"""Semitones above the root."""

STEPS_PER_BAR = 16
_ROLES = 3  # Lead, chords, bass; as many drums: low, middle, high.


@dataclasses.dataclass(frozen=True)
class Style:
  """How music of a genre, or of an artist, is made.

  Attributes:
    tempo_bpm: beats a minute.
    instruments: of lead, chords and bass.
    timbres: float [3, 3]: brightness, wobble and attack of each role.
    scale: index into `SCALES`.
    rhythm: bool [3, 16]: strokes of the low, middle and high drum in a bar.
    drums: the low, middle and high drum.
    drum_pitches: float [3].
    drum_level: loudness of the drums; zero for none.
    density: share of steps with a lead note.
    legato: length of lead notes; above 1.2, chords are held for a bar.
    register: semitones by which the lead is higher.
    swing: delay of every other step, in steps.
  """

  tempo_bpm: float
  instruments: tuple[int, ...]
  timbres: npt.NDArray[np.float64]
  scale: int
  rhythm: npt.NDArray[np.bool_]
  drums: tuple[int, ...]
  drum_pitches: npt.NDArray[np.float64]
  drum_level: float
  density: float
  legato: float
  register: float
  swing: float


def deal_instruments(
  rng: np.random.Generator, num_genres: int
) -> list[tuple[int, ...]]:
  """Distinct bands of three, with every instrument in two genres or more."""
  pool_size = min(len(instruments.NAMES), _ROLES * num_genres // 2)
  pool = rng.permutation(len(instruments.NAMES))[:pool_size]
  triples = list(itertools.combinations(pool.tolist(), _ROLES))
  while True:
    chosen = rng.choice(len(triples), num_genres, replace=False)
    dealt = [triples[index] for index in chosen]
    uses = np.bincount(np.ravel(dealt), minlength=len(instruments.NAMES))
    if np.all(uses != 1):
      return [tuple(rng.permutation(triple).tolist()) for triple in dealt]


def genre_style(
  rng: np.random.Generator, tempo_bpm: float, band: tuple[int, ...]
) -> Style:
  """Draws a genre's style around its tempo and its band."""
  has_drums = rng.random() > 0.15
  return Style(
    tempo_bpm=float(tempo_bpm),
    instruments=band,
    timbres=rng.random((_ROLES, 3)),
    scale=int(rng.integers(len(SCALES))),
    rhythm=_rhythm(rng),
    drums=tuple(
      int(rng.choice(group)) for group in (drums.LOW, drums.MIDDLE, drums.HIGH)
    ),
    drum_pitches=rng.random(3),
    drum_level=float(rng.uniform(0.1, 1.3)) * has_drums,
    density=float(rng.uniform(0.15, 0.8)),
    legato=float(rng.uniform(0.5, 2.5)),
    register=float(rng.uniform(-7.0, 10.0)),
    swing=float(rng.choice([0.0, 0.0, 0.15, 0.3])),
  )


def _rhythm(rng: np.random.Generator) -> npt.NDArray[np.bool_]:
  """A drum pattern, bool [3, 16]."""
  low = rng.random(STEPS_PER_BAR) < 0.12
  low[[0, rng.choice([6, 8, 10])]] = True
  middle = rng.random(STEPS_PER_BAR) < 0.1
  middle[[4, 12]] |= rng.random() < 0.6
  high = np.arange(STEPS_PER_BAR) % rng.choice([1, 2, 2, 3, 4]) == 0
  return np.stack([low, middle, high])


def artist_style(rng: np.random.Generator, style: Style, drift: float) -> Style:
  """Draws an artist's style near the genre's."""
  band = list(style.instruments)
  if rng.random() < 0.3 * drift:
    band[rng.integers(_ROLES)] = int(rng.integers(len(instruments.NAMES)))
  rhythm = style.rhythm.copy()
  for _ in range(2):
    place = rng.integers(3), rng.integers(STEPS_PER_BAR)
    rhythm[place] = ~rhythm[place]
  timbres = style.timbres + rng.normal(0.0, 0.18 * drift, (_ROLES, 3))
  density = style.density + rng.normal(0.0, 0.1)
  return dataclasses.replace(
    style,
    tempo_bpm=float(style.tempo_bpm * np.exp(rng.normal(0.0, 0.07 * drift))),
    instruments=tuple(band),
    timbres=np.clip(timbres, 0.0, 1.0),
    rhythm=rhythm,
    density=float(np.clip(density, 0.1, 0.9)),
    register=style.register + float(rng.normal(0.0, 2.0)),
    drum_level=style.drum_level * float(np.exp(rng.normal(0.0, 0.4))),
  )
