"""N-grams of titles and descriptions as labels."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.mining import tokens


@dataclasses.dataclass(frozen=True)
class VocabularyOptions:
  """Which n-grams become labels.

  Attributes:
    num_labels: the most frequent so many (Huang et al. 2020: 100 K).
    max_ngram: longest n-gram, tokens.
    min_documents: training recordings whose text must hold a label.
    max_document_share: n-grams in more than this share of the texts are no
      labels: a least inverse document frequency, `ln(1 / share)`. A text
      counts an n-gram once, so n-grams that pass `1 / e` have the same order
      by TF-IDF, `df * ln(N / df)`, as by `df`; a filter by TF-IDF is this
      share. 1 filters nothing, as the paper.
  """

  num_labels: int = 100_000
  max_ngram: int = 3
  min_documents: int = 1
  max_document_share: float = 1.0

  def __post_init__(self) -> None:
    if not 0.0 < self.max_document_share <= 1.0:
      raise errors.ConfigError(
        f"VocabularyOptions.max_document_share = {self.max_document_share}: "
        "must lie in (0, 1]"
      )

  def max_documents(self, num_documents: int) -> int:
    """Of so many texts, the most that may hold a label."""
    return math.floor(self.max_document_share * num_documents + 1e-9)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Labels, most frequent first, ties in the order of their code points.

  Attributes:
    labels: n-grams; tokens are joined by a space.
    counts: training documents that hold each.
    max_ngram: longest n-gram, tokens.
  """

  labels: tuple[str, ...]
  counts: tuple[int, ...]
  max_ngram: int

  @functools.cached_property
  def _positions(self) -> Mapping[str, int]:
    return {label: position for position, label in enumerate(self.labels)}

  def label_ids(self, *texts: str) -> npt.NDArray[Any]:
    """Sorted vocabulary indices of a document's n-grams, int64 [labels]."""
    grams = tokens.document_ngrams(texts, self.max_ngram)
    found = [self._positions[g] for g in grams if g in self._positions]
    return np.array(sorted(found), np.int64)


def count_vocabulary(
  documents: Iterable[tuple[str, ...]], options: VocabularyOptions
) -> Vocabulary:
  """Chooses the n-grams that most documents hold.

  For what fits in memory; `ngram_counts` counts the same way in tasks.

  Args:
    documents: the texts of each *training* recording.
    options: how many, how long.

  Returns:
    The vocabulary, independent of the order of the documents.
  """
  counter: collections.Counter[str] = collections.Counter()
  num_documents = 0
  for texts in documents:
    counter.update(tokens.document_ngrams(texts, options.max_ngram))
    num_documents += 1
  most = options.max_documents(num_documents)
  kept = (i for i in counter.items() if options.min_documents <= i[1] <= most)
  ranked = sorted(kept, key=lambda item: (-item[1], item[0]))
  ranked = ranked[: options.num_labels]
  return Vocabulary(
    tuple(label for label, _ in ranked),
    tuple(count for _, count in ranked),
    options.max_ngram,
  )
