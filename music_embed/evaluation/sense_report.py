"""What report.json says about senses, apart from AUC."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from music_embed.evaluation import ambiguity, label_neighbors
from music_embed.evaluation.arrays import Array


@dataclasses.dataclass(frozen=True)
class SenseSpace:
  """A trained head on senses, and their names.

  Attributes:
    kernel: float32 `[labels, dim]`, one row a sense or plain label.
    names: `[labels]`, `46_bebop` or plain.
    terms: int `[labels]`, index in `vocabulary`.
    clusters: int `[labels]`, -1 for plain labels.
    counts: int64 `[labels]`, training recordings that hold each.
    vocabulary: the plain labels.
  """

  kernel: Array
  names: Sequence[str]
  terms: Array
  clusters: Array
  counts: Array
  vocabulary: Sequence[str]


def finding(
  space: SenseSpace,
  found: Sequence[ambiguity.AmbiguousTerm],
  planted: Collection[str] | None,
) -> dict[str, Any]:
  """How many ambiguous terms were found, and which.

  Args:
    space: gives the names.
    found: terms, most ambiguous first.
    planted: ambiguous words by the truth; None where it is not known.

  Returns:
    "flagged" (how many were found), "found" (those of the planted ones),
    "planted", "precision", "recall" (None where the truth is not known) and
    "found_terms" with scores.
  """
  words = [space.vocabulary[term.term] for term in found]
  known = planted is not None
  truth = ambiguity.against_truth(words, planted or ())
  return {
    "flagged": len(words),
    "found": truth["found"] if known else None,
    "planted": len(planted) if planted is not None else None,
    "precision": truth["precision"] if known else None,
    "recall": truth["recall"] if known else None,
    "found_terms": [
      {
        "term": word,
        "score": term.score,
        "senses": [space.names[label] for label in term.senses],
        "recordings": list(term.counts),
        "planted": word in planted if planted is not None else None,
      }
      for word, term in zip(words, found, strict=True)
    ],
  }


def meanings(
  space: SenseSpace,
  found: Sequence[ambiguity.AmbiguousTerm],
  planted: Collection[str] | None,
  *,
  max_terms: int = 10,
  num_nearest: int = 6,
) -> list[dict[str, Any]]:
  """Table 3: what lies near each sense of the most ambiguous terms.

  Args:
    space: the head.
    found: terms, most ambiguous first.
    planted: ambiguous words by the truth, or None.
    max_terms: terms of the table.
    num_nearest: terms near each sense; each counts once, by the nearest of
      its senses, and not the term itself.
  """
  found = found[:max_terms]
  labels = np.array([s for term in found for s in term.senses], np.int64)
  near = label_neighbors.nearest_terms(
    space.kernel[labels],
    space.kernel,
    space.terms,
    top_k=num_nearest,
    left_out=[space.terms[[label]] for label in labels],
  )
  senses = iter(
    {
      "label": space.names[label],
      "cluster": int(space.clusters[label]),
      "recordings": int(space.counts[label]),
      "nearest": [
        {"term": space.vocabulary[t], "cosine": float(c)}
        for t, c in zip(terms, cosines, strict=True)
        if t >= 0
      ],
    }
    for label, terms, cosines in zip(
      labels, near.labels, near.cosines, strict=True
    )
  )
  return [
    {
      "term": space.vocabulary[term.term],
      "score": term.score,
      "planted": planted is not None and space.vocabulary[term.term] in planted,
      "senses": [next(senses) for _ in term.senses],
    }
    for term in found
  ]
