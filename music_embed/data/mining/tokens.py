"""Words and n-grams of texts in any script."""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterable

from icu4py import breakers

_DECOMPOSED_AM = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))
"""What NFKC makes of the Thai and Lao vowel sign am, and the sign itself."""


def normalize(text: str) -> str:
  """NFKC, case folded, surrounding space removed.

  The Thai and Lao vowel sign am stays one character, against NFKC: word
  breaking looks words up in dictionaries that spell it so. Lone surrogates,
  which JSON can smuggle in, become question marks.
  """
  if text.isascii():
    return text.casefold().strip()
  valid = text.encode("utf-8", "replace").decode("utf-8")
  folded = unicodedata.normalize("NFKC", valid).casefold()
  folded = unicodedata.normalize("NFKC", folded).replace("\u2019", "'")
  for decomposed, sign in _DECOMPOSED_AM:
    folded = folded.replace(decomposed, sign)
  return folded.strip()


def tokenize(text: str) -> list[str]:
  """Splits text of any script into words.

  Words lie between the boundaries of Unicode's UAX 29, as ICU finds them in
  its root locale: with its dictionaries for Chinese, Japanese, Thai, Lao,
  Khmer and Burmese, which are written without spaces. Of the segments,
  those with a letter or digit are words; an underscore, which UAX 29 counts
  among the letters, separates. Invisible characters (joiners, soft hyphens,
  directions, variation selectors) are removed from words: people type them
  or not.

  Args:
    text: as in the table.

  Returns:
    Normalised words in order.
  """
  spaced = normalize(text).replace("_", " ")
  segments = breakers.WordBreaker(spaced, "root")
  words = [part for part in segments if any(map(str.isalnum, part))]
  if spaced.isascii():
    return words
  invisible = _invisible()
  return [invisible.sub("", word) for word in words]


def document_ngrams(texts: Iterable[str], max_ngram: int) -> list[str]:
  """The n-grams of a document, each once, none across two lines.

  Args:
    texts: a document's parts, such as title and description; many
      descriptions are lists with a line for each entry.
    max_ngram: longest n-gram, tokens.

  Returns:
    Tokens joined by a space, in the order of first occurrence, shorter ones
    of a line first.
  """
  grams: dict[str, None] = {}
  for line in itertools.chain.from_iterable(map(str.splitlines, texts)):
    words = tokenize(line)
    for n in range(1, max_ngram + 1):
      tuples = zip(*(words[start:] for start in range(n)), strict=False)
      grams.update(dict.fromkeys(map(" ".join, tuples)))
  return list(grams)


@functools.cache
def _invisible() -> re.Pattern[str]:
  """Format characters and variation selectors."""
  points = map(chr, range(sys.maxunicode + 1))
  formats = [c for c in points if unicodedata.category(c) == "Cf"]
  return re.compile(rf"[{''.join(formats)}\ufe00-\ufe0f\U000e0100-\U000e01ef]")
