"""Genres, artists and recordings of a synthetic world."""

from __future__ import annotations

import dataclasses

import numpy as np

from music_embed.core import seeds
from music_embed.data.corpora.synthetic import styles
from music_embed.data.corpora.synthetic.config import WorldConfig

FORMATS = ("wav", "flac", "ogg", "mp3")
_FORMAT_SHARES = (0.1, 0.45, 0.2, 0.25)
_FILE_RATES_HZ = (16_000, 22_050, 32_000, 44_100, 48_000)


@dataclasses.dataclass(frozen=True)
class Genre:
  """A genre and the family of taste it belongs to."""

  family: int
  style: styles.Style


@dataclasses.dataclass(frozen=True)
class Artist:
  """An artist: a genre's style with a drift, and a chord progression."""

  genre: int
  style: styles.Style
  progression: tuple[int, ...]
  popularity: float


@dataclasses.dataclass(frozen=True)
class Recording:
  """One recording, and the file that holds it."""

  index: int
  artist: int
  genre: int
  popularity: float
  is_dark: bool
  is_fast: bool
  duration_s: float
  music_share: float
  file_format: str
  file_rate_hz: int
  num_channels: int

  @property
  def recording_id(self) -> str:
    """Identifier in the tables."""
    return f"r{self.index:05d}"

  @property
  def audio(self) -> str:
    """Path of the audio file, relative to the tables."""
    return f"audio/{self.recording_id}.{self.file_format}"


@dataclasses.dataclass(frozen=True)
class World:
  """Everything but the sounds, the texts and the log."""

  config: WorldConfig
  genres: tuple[Genre, ...]
  artists: tuple[Artist, ...]
  recordings: tuple[Recording, ...]


def make_world(config: WorldConfig) -> World:
  """Draws a world; equal configurations give equal worlds."""
  genres = _make_genres(config)
  artists = _make_artists(config, genres)
  return World(config, genres, artists, _make_recordings(config, artists))


def _make_genres(config: WorldConfig) -> tuple[Genre, ...]:
  rng = seeds.generator(config.seed, "synthetic/genres")
  count = config.num_genres
  tempi = rng.permutation(np.linspace(72.0, 168.0, count))
  return tuple(
    Genre(genre % config.num_families, styles.genre_style(rng, tempo, bands))
    for genre, (tempo, bands) in enumerate(
      zip(tempi, styles.deal_instruments(rng, count), strict=True)
    )
  )


def _make_artists(
  config: WorldConfig, genres: tuple[Genre, ...]
) -> tuple[Artist, ...]:
  rng = seeds.generator(config.seed, "synthetic/artists")
  return tuple(
    Artist(
      genre=index,
      style=styles.artist_style(rng, genre.style, config.artist_drift),
      progression=tuple(rng.integers(0, 7, 4).tolist()),
      popularity=float(np.exp(rng.normal(0.0, 0.3))),
    )
    for index, genre in enumerate(genres)
    for _ in range(config.artists_per_genre)
  )


def _make_recordings(
  config: WorldConfig, artists: tuple[Artist, ...]
) -> tuple[Recording, ...]:
  rng = seeds.generator(config.seed, "synthetic/recordings")
  fewest, most = config.recordings_per_artist
  # Shuffled, so that neither order nor identifiers tell the artist.
  owners = rng.permutation(
    np.repeat(
      np.arange(len(artists)), rng.integers(fewest, most + 1, len(artists))
    )
  )
  num_speech = max(1, round(config.speech_share * len(owners)))
  speech = set(rng.choice(len(owners), num_speech, replace=False).tolist())
  return tuple(
    Recording(
      index=index,
      artist=int(artist),
      genre=artists[artist].genre,
      popularity=float(np.exp(rng.normal(0.0, 0.35))),
      is_dark=bool(rng.random() < 0.5),
      is_fast=bool(rng.random() < 0.5),
      duration_s=config.clip_s * float(rng.uniform(0.9, 1.1)),
      music_share=round(
        float(rng.uniform(*((0.1, 0.45) if index in speech else (0.8, 1.0)))),
        3,
      ),
      file_format=str(rng.choice(FORMATS, p=_FORMAT_SHARES)),
      file_rate_hz=int(rng.choice(_FILE_RATES_HZ)),
      num_channels=int(rng.integers(1, 3)),
    )
    for index, artist in enumerate(owners)
  )
