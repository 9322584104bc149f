"""Who listened to what."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from music_embed.core import seeds
from music_embed.data.corpora.synthetic.world import World

_OTHER_FAMILY_TASTE = 0.03
_LISTENS = (4, 60)


@dataclasses.dataclass(frozen=True)
class Listening:
  """One row of the log."""

  user_id: str
  recording: int
  count: int


def listening_log(world: World) -> list[Listening]:
  """Draws the log: rows by user, then by recording.

  A user belongs to one family of taste, prefers some of its genres, has a
  few favorite artists there, and likes dark recordings more or less.
  """
  rng = seeds.generator(world.config.seed, "synthetic/listening")
  listener = _Listener(world)
  width = len(str(world.config.num_listeners))
  return [
    Listening(f"u{user:0{width}d}", recording, count)
    for user in range(world.config.num_listeners)
    for recording, count in listener.listens(rng)
  ]


class _Listener:
  """Draws the listens of one user after the other."""

  def __init__(self, world: World) -> None:
    self._config = world.config
    self._family = np.array([genre.family for genre in world.genres])
    self._artist_genre = np.array([a.genre for a in world.artists])
    self._artist_popularity = np.array([a.popularity for a in world.artists])
    recordings = world.recordings
    self._owner = np.array([r.artist for r in recordings])
    self._is_dark = np.array([r.is_dark for r in recordings])
    popularity = np.array([r.popularity for r in recordings])
    self._popularity = popularity
    self._anything = popularity / popularity.sum()

  def listens(self, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Recordings and counts of a new user."""
    favorites = np.isin(self._owner, self._favorite_artists(rng))
    likes_dark = rng.random()
    mood = np.where(self._is_dark, likes_dark, 1.0 - likes_dark)
    taste = favorites * self._popularity * mood
    noise = self._config.listener_noise
    chances = (1.0 - noise) * taste / taste.sum() + noise * self._anything
    number = rng.lognormal(self._config.mean_log_listens, 0.5)
    chosen = rng.choice(
      len(chances), int(np.clip(number, *_LISTENS)), p=chances
    )
    recordings, counts = np.unique(chosen, return_counts=True)
    return list(zip(recordings.tolist(), counts.tolist(), strict=True))

  def _favorite_artists(
    self, rng: np.random.Generator
  ) -> npt.NDArray[np.int64]:
    family = rng.integers(self._config.num_families)
    taste = rng.dirichlet(np.full(len(self._family), 0.5))
    taste *= np.where(self._family == family, 1.0, _OTHER_FAMILY_TASTE)
    chances = taste[self._artist_genre] * self._artist_popularity
    chances /= chances.sum()
    fewest, most = self._config.favorite_artists
    # A sharp taste may leave fewer artists with any chance at all.
    wanted = min(int(rng.integers(fewest, most + 1)), np.count_nonzero(chances))
    return rng.choice(len(chances), wanted, p=chances, replace=False)
