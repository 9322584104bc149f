"""Titles and descriptions: some words tell the music, many do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from music_embed.core import seeds
from music_embed.data.corpora.synthetic import instruments
from music_embed.data.corpora.synthetic.words import WordMaker
from music_embed.data.corpora.synthetic.world import Recording, World

_GENRE_WORDS, _FAMILY_WORDS = 4, 3
_WORD_CHANCE = 0.25
_PLAIN_WORD_CHANCE = 0.3
_AMBIGUOUS_CHANCE = 0.5
_ARTIST_CHANCE = 0.4
_MOST_NOISE_WORDS = 8
_MOODS = {True: ("moody", "night"), False: ("bright", "sunny")}
_PACES = {True: ("uptempo", "dance"), False: ("chill", "calm")}
_JOINTS = (", ", " / ", " - ", " & ", ": ", "! ", " (", "... ")


@dataclasses.dataclass(frozen=True)
class AmbiguousWord:
  """A word that means one of two genres, of different families."""

  word: str
  genres: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Lexicon:
  """The words of a world, and what they mean."""

  genres: tuple[tuple[str, ...], ...]
  families: tuple[tuple[str, ...], ...]
  ambiguous: tuple[AmbiguousWord, ...]
  noise: tuple[str, ...]
  artists: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Text:
  """What is written about a recording."""

  title: str
  description: str


def make_lexicon(world: World) -> Lexicon:
  """Invents the words of a world."""
  config = world.config
  rng = seeds.generator(config.seed, "synthetic/lexicon")
  maker = WordMaker(rng)
  genres = [maker.words(_GENRE_WORDS, foreign_share=0.2) for _ in world.genres]
  families = [
    maker.words(_FAMILY_WORDS, syllables=3, foreign_share=0.2)
    for _ in range(config.num_families)
  ]
  pairs = _genre_pairs(world, rng)
  ambiguous = zip(maker.words(len(pairs)), pairs, strict=True)
  noise = maker.words(config.num_noise_words, foreign_share=0.1)
  artists = [" ".join(maker.words(2)).title() for _ in world.artists]
  return Lexicon(
    genres=tuple(map(tuple, genres)),
    families=tuple(map(tuple, families)),
    ambiguous=tuple(AmbiguousWord(word, pair) for word, pair in ambiguous),
    noise=tuple(noise),
    artists=tuple(artists),
  )


def _genre_pairs(
  world: World, rng: np.random.Generator
) -> list[tuple[int, int]]:
  """Disjoint pairs of genres of different families."""
  wanted = world.config.num_ambiguous_words
  while True:
    order = rng.permutation(len(world.genres))[: 2 * wanted].tolist()
    pairs = list(zip(order[::2], order[1::2], strict=True))
    if all(world.genres[a].family != world.genres[b].family for a, b in pairs):
      return pairs


def write_texts(world: World, lexicon: Lexicon) -> list[Text]:
  """Writes title and description of every recording."""
  rng = seeds.generator(world.config.seed, "synthetic/texts")
  frequencies = 1.0 / np.arange(1, len(lexicon.noise) + 1) ** 0.7
  frequencies /= frequencies.sum()
  return [
    _compose(
      _words(world, lexicon, recording, frequencies, rng),
      lexicon.artists[recording.artist],
      rng,
    )
    for recording in world.recordings
  ]


def _words(
  world: World,
  lexicon: Lexicon,
  recording: Recording,
  noise_frequencies: npt.NDArray[np.float64],
  rng: np.random.Generator,
) -> list[str]:
  """Words about a recording, in random order."""
  genre = recording.genre
  if rng.random() < world.config.wrong_word_share:
    genre = int(rng.integers(len(world.genres)))
  band = world.artists[recording.artist].style.instruments
  number = int(rng.integers(1, _MOST_NOISE_WORDS + 1))
  noise = rng.choice(len(lexicon.noise), number, p=noise_frequencies)
  offered = [
    (_WORD_CHANCE, lexicon.genres[genre]),
    (_WORD_CHANCE, lexicon.families[world.genres[genre].family]),
    (_PLAIN_WORD_CHANCE, _MOODS[recording.is_dark]),
    (_PLAIN_WORD_CHANCE, _PACES[recording.is_fast]),
    (_PLAIN_WORD_CHANCE, [instruments.NAMES[index] for index in band]),
    (
      _AMBIGUOUS_CHANCE,
      [a.word for a in lexicon.ambiguous if recording.genre in a.genres],
    ),
    (1.0, [lexicon.noise[index] for index in noise]),
  ]
  chosen = [
    word for chance, words in offered for word in words if rng.random() < chance
  ]
  unique = list(dict.fromkeys(chosen))
  return [unique[index] for index in rng.permutation(len(unique))]


def _compose(words: list[str], artist: str, rng: np.random.Generator) -> Text:
  """Makes the first words a title and the rest a description."""
  cut = min(len(words), int(rng.integers(1, 4)))
  title = " ".join(words[:cut]).title()
  if rng.random() < _ARTIST_CHANCE:
    title = f"{artist} - {title}"
  return Text(title, _sentence(words[cut:], rng))


def _sentence(words: list[str], rng: np.random.Generator) -> str:
  """Joins words by spaces and punctuation."""
  if not words:
    return ""
  text = words[0].capitalize()
  for word in words[1:]:
    joint = str(rng.choice(_JOINTS)) if rng.random() < 0.3 else " "
    text += joint + word
    text += ")" if joint == " (" else ""
  return text + str(rng.choice([".", "", "!"]))
