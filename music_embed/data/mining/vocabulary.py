"""N-grams of titles and descriptions as labels."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.mining import tokens


@dataclasses.dataclass(frozen=True)
class VocabularyOptions:
  """Which n-grams become labels.

  Attributes:
    num_labels: the most frequent so many (Huang et al. 2020: 100 K).
    max_ngram: longest n-gram, tokens.
    min_documents: training recordings whose text must hold a label.
  """

  num_labels: int = 100_000
  max_ngram: int = 3
  min_documents: int = 1


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
  """Chooses the n-grams that most documents hold, without any other filter.

  For what fits in memory; `ngram_counts` counts the same way in tasks.

  Args:
    documents: the texts of each *training* recording.
    options: how many, how long.

  Returns:
    The vocabulary, independent of the order of the documents.
  """
  counter: collections.Counter[str] = collections.Counter()
  for texts in documents:
    counter.update(tokens.document_ngrams(texts, options.max_ngram))
  kept = (i for i in counter.items() if i[1] >= options.min_documents)
  ranked = sorted(kept, key=lambda item: (-item[1], item[0]))
  ranked = ranked[: options.num_labels]
  return Vocabulary(
    tuple(label for label, _ in ranked),
    tuple(count for _, count in ranked),
    options.max_ngram,
  )
