"""What a person may ask about: terms, senses, recordings, audio files."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.mining import tokens
from music_embed.data.records import prepared, sense_labels

Kind = Literal["term", "label", "recording", "file"]

_MAX_COMPARED = 50_000
"""Terms, the most frequent ones, among which a misspelt one is looked for."""

_AUDIO = (".mp3", ".flac", ".wav", ".ogg", ".opus", ".m4a", ".aac", ".aiff")

_SENSE = re.compile(r"\d+_(.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class LabelNames:
  """The labels of a run, and which are senses of one term.

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
  def of(cls, data: prepared.PreparedDataset) -> LabelNames:
    """The names that a run's dataset gives, split by sense or not."""
    labels, counts = data.vocabulary, data.label_counts
    if isinstance(data, sense_labels.RelabelledDataset):
      senses = data.sense_labels
      terms = senses.plain_vocabulary
      return cls(labels, counts, terms, senses.plain, senses.cluster)
    every = np.arange(len(labels))
    return cls(labels, counts, labels, every, np.full_like(every, -1))

  def labels_of(self, term: int) -> npt.NDArray[Any]:
    """A term's senses and plain label, by falling frequency."""
    found = np.flatnonzero(self.terms == term)
    return found[np.argsort(-self.counts[found], kind="stable")]

  @functools.cached_property
  def label_positions(self) -> Mapping[str, int]:
    """Ids by label."""
    return {label: place for place, label in enumerate(self.labels)}

  @functools.cached_property
  def term_positions(self) -> Mapping[str, int]:
    """Ids by term."""
    return {term: place for place, term in enumerate(self.term_names)}


@dataclasses.dataclass(frozen=True)
class Query:
  """A query and what it was found to be.

  Attributes:
    text: as asked.
    kind: of what it is.
    name: for headings.
    labels: label ids of a term or label; the index of a recording.
  """

  text: str
  kind: Kind
  name: str
  labels: npt.NDArray[Any]

  @property
  def is_label(self) -> bool:
    """Whether it is a term, or one of its senses."""
    return self.kind in ("term", "label")

  @property
  def num_entries(self) -> int:
    """Points of the space that answer it."""
    return len(self.labels) if self.is_label else 1


def resolve(
  text: str, names: LabelNames, data: prepared.PreparedDataset
) -> Query:
  """Finds out what a query is: term, label, recording or file, in this order.

  Raises:
    ConfigError: it is none of them; the message names what is spelt alike.
    DataError: it looks like an audio file that is not there.
  """
  spaced = " ".join(tokens.tokenize(text))
  for term in dict.fromkeys((text, tokens.normalize(text), spaced)):
    if term in names.term_positions:
      labels = names.labels_of(names.term_positions[term])
      return Query(text, "term", term, labels)
  for label in dict.fromkeys((text, tokens.normalize(text))):
    if label in names.label_positions:
      found = np.array([names.label_positions[label]])
      return Query(text, "label", label, found)
  for index, recording_id in enumerate(data.recording_ids):
    if recording_id == text:
      name = f"{text}: {data.titles[index]}"
      return Query(text, "recording", name, np.array([index]))
  if os.path.isfile(text):
    return Query(text, "file", text, np.zeros(0, np.int64))
  if "/" in text or text.lower().endswith(_AUDIO):
    raise errors.DataError(f"{text}: no such file")
  raise errors.ConfigError(_unknown(text, spaced, names))


def _unknown(text: str, spaced: str, names: LabelNames) -> str:
  sense = _SENSE.fullmatch(text)
  if sense is not None and sense[1] in names.term_positions:
    labels = names.labels_of(names.term_positions[sense[1]])
    known = ", ".join(names.labels[label] for label in labels)
    return f"{text!r}: there is no such sense; {sense[1]!r} has {known}"
  terms = list(itertools.islice(names.term_names, _MAX_COMPARED))
  alike = difflib.get_close_matches(spaced or text, terms, n=5, cutoff=0.6)
  advice = f"; near it: {', '.join(alike)}" if alike else ""
  return f"{text!r}: no label, recording id or file of this name{advice}"
