"""Do a planted word's senses lie among the words of the right genres?

For worlds whose truth is known: a word that was planted in two genres is told
apart where the sense that most recordings of either genre hold lies near
words of that genre, and not of the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from music_embed.core import errors
from music_embed.evaluation import label_neighbors
from music_embed.evaluation.arrays import Array

NUM_NEAREST = 3
"""Genre words looked at near a sense."""


@dataclasses.dataclass(frozen=True)
class Truth:
  """What a generated world says of its words.

  Attributes:
    planted: the two genres of each ambiguous word.
    word_genres: the genre of each word that has one.
    recording_genres: the genre of each recording, by its id.
  """

  planted: Mapping[str, tuple[int, int]]
  word_genres: Mapping[str, int]
  recording_genres: Mapping[str, int]

  @classmethod
  def from_json(cls, values: Mapping[str, Any], path: str) -> Truth:
    """Reads the generator's `truth.json`.

    Args:
      values: its contents.
      path: of the file, for messages.

    Raises:
      DataError: it lacks something.
    """
    try:
      return cls(
        {
          item["word"]: (int(item["genres"][0]), int(item["genres"][1]))
          for item in values["ambiguous_words"]
        },
        {
          word: genre
          for genre, words in enumerate(values["genre_words"])
          for word in words
        },
        {key: int(r["genre"]) for key, r in values["recordings"].items()},
      )
    except (KeyError, IndexError, TypeError, ValueError) as error:
      raise errors.DataError(
        f"{path}: not the truth of a generated corpus"
        f" ({type(error).__name__}: {error})"
      ) from error


@dataclasses.dataclass(frozen=True)
class SenseHead:
  """A head on senses, and where they occur.

  Attributes:
    kernel: float32 `[labels, dim]`.
    labels: texts, `[labels]`.
    terms: int `[labels]`, the term of each, index in the plain vocabulary.
    occurrences: sparse 0/1 `[training_recordings, labels]`.
  """

  kernel: Array
  labels: Sequence[str]
  terms: Array
  occurrences: scipy.sparse.csr_matrix


def told_apart(
  head: SenseHead,
  vocabulary: Sequence[str],
  genres: Array,
  truth: Truth,
) -> dict[str, Any]:
  """Whether each planted word's two senses lie near the right words.

  A genre's sense of a word is the one that most training recordings of the
  genre hold. Genre words count once, by the nearest of their senses.

  Args:
    head: what is judged.
    vocabulary: plain labels.
    genres: int `[training_recordings]`, rows as of `head.occurrences`.
    truth: of the world.

  Returns:
    "words": for each planted word that is a label its "word", "told_apart"
    and "senses" ("genre", "label", "recordings", "nearest" genre words,
    "share_right"); "share_right", the mean; and "told_apart", how many words
    have two different senses, each with most of the nearest words right.
  """
  ids = {text: index for index, text in enumerate(vocabulary)}
  genre_of_term = np.full(len(vocabulary), -1)
  for word, genre in truth.word_genres.items():
    if word in ids and word not in truth.planted:
      genre_of_term[ids[word]] = genre
  words = []
  for word, of_word in truth.planted.items():
    labels = np.flatnonzero(head.terms == ids.get(word, -1))
    if len(labels):
      words.append(_word(word, of_word, labels, head, genres, genre_of_term))
      for sense in words[-1]["senses"]:
        for near in sense["nearest"]:
          near["term"] = vocabulary[near["term"]]
  shares = [s["share_right"] for word in words for s in word["senses"]]
  return {
    "words": words,
    "told_apart": sum(word["told_apart"] for word in words),
    "share_right": float(np.mean(shares)) if shares else float("nan"),
  }


def _word(
  word: str,
  of_word: tuple[int, int],
  labels: Array,
  head: SenseHead,
  genres: Array,
  genre_of_term: Array,
) -> dict[str, Any]:
  columns = head.occurrences[:, labels].tocsc()
  senses = []
  for genre in of_word:
    counts = np.asarray(columns[genres == genre].sum(axis=0)).reshape(-1)
    label = int(labels[int(np.argmax(counts))])
    senses.append(_sense(label, genre, head, genre_of_term))
  most = NUM_NEAREST / 2
  return {
    "word": word,
    "told_apart": senses[0]["label"] != senses[1]["label"]
    and all(s["share_right"] * NUM_NEAREST > most for s in senses),
    "senses": senses,
  }


def _sense(
  label: int, genre: int, head: SenseHead, genre_of_term: Array
) -> dict[str, Any]:
  candidates = np.flatnonzero(genre_of_term[head.terms] >= 0)
  found = label_neighbors.nearest_terms(
    head.kernel[[label]],
    head.kernel[candidates],
    head.terms[candidates],
    top_k=NUM_NEAREST,
  )
  near = [
    {"term": int(t), "genre": int(genre_of_term[t]), "cosine": float(c)}
    for t, c in zip(found.labels[0], found.cosines[0], strict=True)
    if t >= 0
  ]
  return {
    "genre": genre,
    "label": head.labels[label],
    "recordings": int(head.occurrences[:, [label]].sum()),
    "nearest": near,
    "share_right": sum(n["genre"] == genre for n in near) / NUM_NEAREST,
  }
