"""Do the recordings found for a word fit it? For worlds whose truth is known.

A word of the generated world says something of a recording: its genre, its
family, an instrument in it; a planted word means either of two genres.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors

KINDS = ("genre", "family", "instrument", "ambiguous")

Rank = Callable[[str], npt.NDArray[Any]]
"""Rows of recordings found for a word or sense, best first."""


@dataclasses.dataclass(frozen=True)
class Word:
  """A word of the world and whom it fits.

  Attributes:
    text: as people type it.
    kind: one of `KINDS`.
    fits: bool [recordings].
    meanings: bool [meanings, recordings]; of a planted word its two genres,
      else `fits` alone.
  """

  text: str
  kind: str
  fits: npt.NDArray[np.bool_]
  meanings: npt.NDArray[np.bool_]


def words_of(
  truth: Mapping[str, Any], ids: Sequence[str], path: str = "the truth"
) -> list[Word]:
  """The words of a generated world, and which recordings each fits.

  Args:
    truth: contents of the generator's `truth.json`.
    ids: of the recordings.
    path: of the file, for messages.

  Raises:
    DataError: the truth lacks something, or one of the recordings.
  """
  try:
    recordings = [truth["recordings"][recording_id] for recording_id in ids]
    genres = np.array([recording["genre"] for recording in recordings])
    families = np.array([recording["family"] for recording in recordings])
    found = [
      _plain(text, kind, values == number)
      for kind, values in (("genre", genres), ("family", families))
      for number, texts in enumerate(truth[f"{kind}_words"])
      for text in texts
    ]
    instruments = {i for r in recordings for i in r["instruments"]}
    for text in sorted(instruments):
      has_it = np.array([text in r["instruments"] for r in recordings])
      found.append(_plain(text, "instrument", has_it))
    for planted in truth["ambiguous_words"]:
      meanings = np.stack([genres == genre for genre in planted["genres"]])
      found.append(
        Word(planted["word"], "ambiguous", meanings.any(axis=0), meanings)
      )
  except (KeyError, TypeError) as error:
    raise errors.DataError(
      f"{path}: no truth of these recordings ({error} is missing)"
    ) from error
  return found


def _plain(text: str, kind: str, fits: npt.NDArray[np.bool_]) -> Word:
  return Word(text, kind, fits, fits[np.newaxis])


@dataclasses.dataclass(frozen=True)
class Precision:
  """Of what is found for the words of one kind, means over words.

  Attributes:
    num_words: words that the model knows.
    found: share of the first k that fit the word.
    one_meaning: share of the first k that fit the meaning that most of them
      fit; for a sense, asked for by its name, the same.
    expected: share of all recordings that fit: what chance gives.
  """

  num_words: int
  found: float
  one_meaning: float
  expected: float


def precision(
  words: Sequence[Word],
  rank: Rank,
  senses: Mapping[str, Sequence[str]],
  *,
  k: int = 10,
) -> dict[str, Precision]:
  """Precision at k of word queries, by kind of word.

  Args:
    words: of the world.
    rank: searches.
    senses: texts to ask for each meaning of a word by: its senses where the
      model tells any apart, else the word itself. A word without is not known.
    k: recordings that a person looks at.

  Returns:
    By kind; kinds of which no word is known are absent.
  """
  result = {}
  for kind in KINDS:
    known = [w for w in words if w.kind == kind and senses.get(w.text)]
    if not known:
      continue
    found = [w.fits[rank(w.text)[:k]].mean() for w in known]
    pure = [
      max(meaning[rank(sense)[:k]].mean() for meaning in w.meanings)
      for w in known
      for sense in senses[w.text]
    ]
    result[kind] = Precision(
      len(known),
      float(np.mean(found)),
      float(np.mean(pure)),
      float(np.mean([w.fits.mean() for w in known])),
    )
  return result
