"""N-grams of titles and descriptions as labels."""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_IDEOGRAPHS = (
  "\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)


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
    grams = document_ngrams(texts, self.max_ngram)
    found = [self._positions[g] for g in grams if g in self._positions]
    return np.array(sorted(found), np.int64)


def normalize(text: str) -> str:
  """NFKC, case folded, surrounding space removed."""
  folded = unicodedata.normalize("NFKC", text).casefold()
  return unicodedata.normalize("NFKC", folded).replace("\u2019", "'").strip()


def tokenize(text: str) -> list[str]:
  """Splits text of any script into words.

  A word is a run of letters, digits and their combining marks, with single
  apostrophes inside. Han characters and hiragana, which are written without
  spaces, are words of their own (their n-grams then cover real words).

  Args:
    text: as in the table.

  Returns:
    Normalised words in order.
  """
  return _word_pattern().findall(normalize(text))


def document_ngrams(texts: Iterable[str], max_ngram: int) -> set[str]:
  """The n-grams of a document, n = 1 .. max_ngram; none crosses two texts."""
  grams: set[str] = set()
  for text in texts:
    words = tokenize(text)
    for n in range(1, max_ngram + 1):
      starts = range(len(words) - n + 1)
      grams.update(" ".join(words[start : start + n]) for start in starts)
  return grams


def count_vocabulary(
  documents: Iterable[tuple[str, ...]], options: VocabularyOptions
) -> Vocabulary:
  """Chooses the n-grams that most documents hold, without any other filter.

  Args:
    documents: the texts of each *training* recording.
    options: how many, how long.

  Returns:
    The vocabulary, independent of the order of the documents.
  """
  counter: collections.Counter[str] = collections.Counter()
  for texts in documents:
    counter.update(document_ngrams(texts, options.max_ngram))
  kept = (i for i in counter.items() if i[1] >= options.min_documents)
  ranked = sorted(kept, key=lambda item: (-item[1], item[0]))
  ranked = ranked[: options.num_labels]
  return Vocabulary(
    tuple(label for label, _ in ranked),
    tuple(count for _, count in ranked),
    options.max_ngram,
  )


@functools.cache
def _word_pattern() -> re.Pattern[str]:
  # Python's \w has no combining marks, which would cut Indic words apart.
  points = (chr(point) for point in range(0x300, sys.maxunicode + 1))
  marks = "".join(c for c in points if unicodedata.category(c)[0] == "M")
  letter = rf"(?:(?![{_IDEOGRAPHS}_])[\w{re.escape(marks)}])"
  return re.compile(rf"[{_IDEOGRAPHS}]|{letter}+(?:'{letter}+)*")
