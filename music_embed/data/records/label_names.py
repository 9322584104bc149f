"""The labels of a model by name: terms, and the senses that they have.

On disk, `labels.tsv`: a header `label`, `term`, `cluster`, `recordings`, then a
row for each row of the label head, tab-separated UTF-8. `cluster` is empty for
a label that is no sense, `recordings` counts training recordings that have it.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.mining import tokens

FILE_NAME = "labels.tsv"
"""Of an export's folder."""

_HEADER = ["label", "term", "cluster", "recordings"]
_MAX_COMPARED = 50_000
"""Terms, the most frequent ones, among which a misspelt one is looked for."""

_RARE_SHARE = 0.3
"""Of the recordings of a term's most frequent sense. Rarer senses are the least
certain ones: on synthetic worlds they spoiled what a search for the term found.
"""

_SENSE = re.compile(r"\d+_(.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Found:
  """What a text names.

  Attributes:
    kind: "term" for a word, with all its senses; "label" for one sense.
    name: the term or label as the vocabulary spells it.
    labels: int64 [labels], ids; of a term by falling frequency.
  """

  kind: Literal["term", "label"]
  name: str
  labels: npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class LabelNames:
  """The labels of a model, and which are senses of one term.

  Attributes:
    labels: `[labels]`, as in the vocabulary; a sense is `46_bebop`.
    counts: int64 `[labels]`, training recordings that have each.
    term_names: `[terms]`.
    terms: int `[labels]`, the term of each label.
    clusters: int `[labels]`; -1 for plain labels.
  """

  labels: Sequence[str]
  counts: npt.NDArray[Any]
  term_names: Sequence[str]
  terms: npt.NDArray[Any]
  clusters: npt.NDArray[Any]

  @classmethod
  def plain(
    cls, labels: Sequence[str], counts: npt.NDArray[Any] | None = None
  ) -> LabelNames:
    """Labels none of which is a sense; without counts, of unknown frequency."""
    every = np.arange(len(labels))
    if counts is None:
      counts = np.zeros_like(every)
    return cls(labels, counts, labels, every, np.full_like(every, -1))

  def labels_of(self, term: int) -> npt.NDArray[Any]:
    """A term's senses and plain label, by falling frequency."""
    start, end = self._term_bounds[term : term + 2]
    return self._by_term[start:end]

  def without_rare(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The labels of a term that a search for the term goes by.

    Args:
      labels: of `labels_of` or `find`.

    Returns:
      Those with at least .3 of the recordings of the most frequent one.
    """
    counts = np.asarray(self.counts)[labels]
    return labels[counts >= _RARE_SHARE * counts.max(initial=0)]

  @functools.cached_property
  def _by_term(self) -> npt.NDArray[Any]:
    """Labels, by term and falling frequency."""
    return np.lexsort((-np.asarray(self.counts), self.terms))

  @functools.cached_property
  def _term_bounds(self) -> npt.NDArray[Any]:
    ends = np.cumsum(np.bincount(self.terms, minlength=len(self.term_names)))
    return np.concatenate([[0], ends])

  @functools.cached_property
  def label_positions(self) -> Mapping[str, int]:
    """Ids by label."""
    return {label: place for place, label in enumerate(self.labels)}

  @functools.cached_property
  def term_positions(self) -> Mapping[str, int]:
    """Ids by term."""
    return {term: place for place, term in enumerate(self.term_names)}

  def find(self, text: str) -> Found | None:
    """What a text names: a term before a label; None where it names neither.

    Spelling is forgiven as the vocabulary forgives it: case, forms of
    characters, punctuation.
    """
    spaced = " ".join(tokens.tokenize(text))
    for term in dict.fromkeys((text, tokens.normalize(text), spaced)):
      if term in self.term_positions:
        labels = self.labels_of(self.term_positions[term])
        return Found("term", term, labels)
    for label in dict.fromkeys((text, tokens.normalize(text))):
      if label in self.label_positions:
        return Found("label", label, np.array([self.label_positions[label]]))
    return None

  def unknown(self, text: str) -> str:
    """What to tell someone whose text names nothing here.

    Returns:
      Advice without a subject, such as "near it: bebop, hard bop"; empty where
      nothing is spelt alike.
    """
    sense = _SENSE.fullmatch(text)
    if sense is not None and sense[1] in self.term_positions:
      labels = self.labels_of(self.term_positions[sense[1]])
      known = ", ".join(self.labels[label] for label in labels)
      return f"there is no such sense; {sense[1]!r} has {known}"
    spaced = " ".join(tokens.tokenize(text))
    terms = list(itertools.islice(self.term_names, _MAX_COMPARED))
    alike = difflib.get_close_matches(spaced or text, terms, n=5, cutoff=0.6)
    return f"near it: {', '.join(alike)}" if alike else ""

  def write(self, path: str) -> None:
    """Writes `labels.tsv`, whole or not at all."""
    with files.atomic_write(path, "w") as file:
      file.write(self.table())

  def table(self) -> str:
    """Contents of `labels.tsv`."""
    lines = ["\t".join(_HEADER)]
    for label, count, term, cluster in zip(
      self.labels,
      self.counts.tolist(),
      self.terms.tolist(),
      self.clusters.tolist(),
      strict=True,
    ):
      number = "" if cluster < 0 else str(cluster)
      cells = [label, self.term_names[term], number, str(count)]
      lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"

  @classmethod
  def read(cls, path: str) -> LabelNames:
    """Reads what `write` wrote.

    Terms are numbered in the order in which they first appear.

    Raises:
      DataError: there is no such file, or it is damaged: names the line.
    """
    labels, counts, clusters, terms = [], [], [], []
    places: dict[str, int] = collections.defaultdict(lambda: len(places))
    for label, term, cluster, count in _rows(path):
      labels.append(label)
      terms.append(places[term])
      clusters.append(-1 if cluster is None else cluster)
      counts.append(count)
    return cls(
      labels=labels,
      counts=np.array(counts, np.int64),
      term_names=list(places),
      terms=np.array(terms, np.int64),
      clusters=np.array(clusters, np.int64),
    )


def _rows(path: str) -> Iterator[tuple[str, str, int | None, int]]:
  if not files.exists(path):
    raise errors.DataError(f"{path}: no such file")
  try:
    text = files.read_bytes(path).decode("utf-8")
  except UnicodeDecodeError as error:
    raise errors.DataError(f"{path}: damaged (no UTF-8)") from error
  lines = text.split("\n")
  if lines[0].split("\t") != _HEADER:
    raise errors.DataError(
      f"{path}: line 1: must be {' '.join(_HEADER)}, tab-separated"
    )
  for number, line in enumerate(lines[1:], 2):
    if not line and number == len(lines):
      return
    cells = line.split("\t")
    try:
      label, term, cluster, count = cells
      yield label, term, int(cluster) if cluster else None, int(count or 0)
    except ValueError as error:
      raise errors.DataError(
        f"{path}: line {number}: damaged ({line[:80]!r})"
      ) from error
