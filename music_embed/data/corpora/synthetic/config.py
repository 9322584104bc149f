"""What can be chosen about a synthetic music world."""

from __future__ import annotations

import dataclasses
from typing import Any

from music_embed.core import errors


@dataclasses.dataclass(frozen=True)
class WorldConfig:
  """Size, nuisances and noise of a world; everything follows from it.

  Attributes:
    seed: of all random choices.
    num_genres: at least three.
    num_families: families of taste, at least two; genres are dealt out to
      them in turn, so that a family cannot be heard.
    artists_per_genre: artists of each genre.
    recordings_per_artist: fewest and most recordings of an artist.
    clip_s: mean length of a recording; each is up to a tenth longer or
      shorter.
    num_listeners: users of the listening log.
    listener_noise: share of listening that is random.
    mean_log_listens: mean of the logarithm of a user's number of listens.
    favorite_artists: fewest and most artists that a user comes back to.
    artist_drift: how far artists stray from their genre; 1 is normal.
    num_ambiguous_words: words that two genres of different families share.
    num_noise_words: words without any meaning.
    wrong_word_share: recordings whose genre and family words are those of a
      random genre.
    speech_share: recordings that are mostly talk (`music_share` below 0.5);
      at least one.
    eq_db: standard deviation of a recording's random equaliser.
    noise_floor_db: lowest and highest noise floor, relative to the music.
  """

  seed: int = 0
  num_genres: int = 12
  num_families: int = 4
  artists_per_genre: int = 11
  recordings_per_artist: tuple[int, int] = (5, 8)
  clip_s: float = 20.0
  num_listeners: int = 2000
  listener_noise: float = 0.04
  mean_log_listens: float = 2.9
  favorite_artists: tuple[int, int] = (4, 8)
  artist_drift: float = 1.0
  num_ambiguous_words: int = 4
  num_noise_words: int = 80
  wrong_word_share: float = 0.25
  speech_share: float = 0.01
  eq_db: float = 7.0
  noise_floor_db: tuple[float, float] = (-55.0, -28.0)

  def __post_init__(self) -> None:
    """Checks what the generator relies on; raises ConfigError."""
    low, high = self.recordings_per_artist
    checks = {
      "seed must not be negative": self.seed >= 0,
      "num_genres must be at least 3": self.num_genres >= 3,
      "num_families must lie between 2 and num_genres": (
        2 <= self.num_families <= self.num_genres
      ),
      "artists_per_genre must be positive": self.artists_per_genre >= 1,
      "recordings_per_artist must be (fewest, most), both positive": (
        1 <= low <= high
      ),
      "favorite_artists must be (fewest, most), both positive": (
        1 <= self.favorite_artists[0] <= self.favorite_artists[1]
      ),
      "clip_s must be at least 1": self.clip_s >= 1.0,
      "num_listeners must be positive": self.num_listeners >= 1,
      "num_ambiguous_words must be at most a third of num_genres": (
        0 <= 3 * self.num_ambiguous_words <= self.num_genres
      ),
    }
    for message, holds in checks.items():
      if not holds:
        raise errors.ConfigError(f"synthetic world: {message}")

  def to_json(self) -> dict[str, Any]:
    """The choices as JSON values (tuples become lists)."""
    values = dataclasses.asdict(self)
    return {
      key: list(value) if isinstance(value, tuple) else value
      for key, value in values.items()
    }


def tiny_config(seed: int = 0, clip_s: float = 5.0) -> WorldConfig:
  """A world of 24 recordings and 150 listeners, for tests.

  At tau 3 a recording has about six neighbours.
  """
  return WorldConfig(
    seed=seed,
    num_genres=4,
    num_families=2,
    artists_per_genre=3,
    recordings_per_artist=(2, 2),
    clip_s=clip_s,
    num_listeners=150,
    mean_log_listens=2.0,
    favorite_artists=(1, 3),
    num_ambiguous_words=1,
    num_noise_words=12,
  )
