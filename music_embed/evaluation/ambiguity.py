"""Which words have several meanings, by their senses in a trained head.

A frequent word of no meaning occurs in every cluster of listeners, and its
senses differ as the clusters do; a word for one kind of music may be split
over two neighbouring clusters. So distance alone is no evidence. A word is
ambiguous here when

1. its senses are enriched: more of the recordings with the word lie in their
   cluster than the cluster's size explains (a binomial test, for the second
   sense among what is outside of the first one's cluster; Benjamini and
   Hochberg 1995 for the many tests),
2. they lie in clusters whose listeners have little in common: fewer edges of
   the graph run between them than the clusters' degrees explain,
3. the two senses, each with what lies in neighbouring clusters, make up most
   of the word's recordings,
4. and they sound different: the cosine distance of their softmax columns, the
   word's score, is large.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np
import scipy.special

from music_embed.core import errors
from music_embed.evaluation.arrays import Array


@dataclasses.dataclass(frozen=True)
class FindingOptions:
  """When a word counts as ambiguous.

  Attributes:
    false_discoveries: share of false ones among enriched senses, expected.
    min_share: of a word's training recordings, that both senses must hold.
    min_distance: cosine distance between both senses' softmax columns; .5 is
      an angle of 60 degrees.
  """

  false_discoveries: float = 0.05
  min_share: float = 0.9
  min_distance: float = 0.5

  def __post_init__(self) -> None:
    for name in ("false_discoveries", "min_share"):
      if not 0.0 < getattr(self, name) <= 1.0:
        raise errors.ConfigError(f"FindingOptions.{name} must lie in (0, 1]")


@dataclasses.dataclass(frozen=True)
class LabelCounts:
  """How often labels split by sense occur among training recordings.

  Attributes:
    plain: the term of each label, int [labels].
    cluster: the cluster of each, -1 where it is not split, int [labels].
    counts: training recordings that hold each, int64 [labels].
    cluster_sizes: training recordings of each cluster, int64 [clusters].
    num_recordings: training recordings, with and without a cluster.
  """

  plain: Array
  cluster: Array
  counts: Array
  cluster_sizes: Array
  num_recordings: int

  @property
  def term_counts(self) -> Array:
    """Training recordings that hold each term, int64 [terms]."""
    return np.bincount(self.plain, self.counts).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class AmbiguousTerm:
  """A word with two meanings.

  Attributes:
    term: index in the plain vocabulary.
    score: cosine distance between the softmax columns of its two senses.
    senses: the two labels, the more frequent one first.
    clusters: their clusters.
    counts: training recordings that hold each.
    share: of the word's training recordings, that both senses hold with those
      in neighbouring clusters.
  """

  term: int
  score: float
  senses: tuple[int, int]
  clusters: tuple[int, int]
  counts: tuple[int, int]
  share: float


def enriched(
  labels: LabelCounts, options: FindingOptions | None = None
) -> Array:
  """Senses that occur in their cluster more often than its size explains.

  Args:
    labels: how often they occur.
    options: with the false discoveries allowed.

  Returns:
    bool [labels]; False for plain labels.
  """
  options = options or FindingOptions()
  split = np.flatnonzero(labels.cluster >= 0)
  chance = _chances(labels, split)
  allowed = options.false_discoveries * np.arange(1, len(split) + 1)
  passed = np.flatnonzero(np.sort(chance) <= allowed / max(len(split), 1))
  found = np.zeros(len(labels.plain), bool)
  if len(passed):
    found[split] = chance <= np.sort(chance)[passed[-1]]
  return found


def _chances(labels: LabelCounts, split: Array) -> Array:
  """Chance of so many recordings in a sense's cluster, float64 [split].

  A word's most enriched sense is tested among all of its recordings, the
  others among those outside of that one's cluster: half of a word's recordings
  in each of two clusters is plain evidence, however large they are. A sense is
  as unlikely as it is, or as the most enriched one, whichever is likelier.
  """
  term = labels.plain[split]
  count = labels.counts[split].astype(np.float64)
  total = labels.term_counts[term].astype(np.float64)
  share = labels.cluster_sizes[labels.cluster[split]] / labels.num_recordings
  alone = _at_least(count, total, share)
  order = np.lexsort((alone, term))
  first = np.ones(len(order), bool)
  first[1:] = term[order][1:] != term[order][:-1]
  best = np.zeros(int(term.max(initial=-1)) + 1, np.int64)
  best[term[order[first]]] = order[first]
  best = best[term]
  beside = _at_least(
    count, total - count[best], np.minimum(share / (1.0 - share[best]), 1.0)
  )
  is_best = best == np.arange(len(split))
  return np.where(is_best, alone, np.maximum(beside, alone[best]))


def _at_least(count: Array, total: Array, share: Array) -> Array:
  """P(X >= count) of a binomial distribution."""
  with np.errstate(invalid="ignore"):
    chance = scipy.special.betainc(
      np.maximum(count, 1e-9), np.maximum(total - count, 0.0) + 1.0, share
    )
  return np.where(np.isnan(chance), 1.0, chance)


def neighboring(
  edges: Array, recording_cluster: Array, num_clusters: int
) -> Array:
  """Clusters that share more edges than their degrees explain.

  Args:
    edges: int64 [edges, 2], recordings.
    recording_cluster: int [recordings], -1 without one.
    num_clusters: k.

  Returns:
    bool [k, k], symmetric; a cluster is its own neighbour.
  """
  ends = recording_cluster[edges]
  ends = ends[(ends >= 0).all(axis=1)].astype(np.int64)
  number = np.bincount(
    ends[:, 0] * num_clusters + ends[:, 1], minlength=num_clusters**2
  ).reshape(num_clusters, num_clusters)
  number = (number + number.T).astype(np.float64)
  degree = number.sum(axis=0)
  expected = np.outer(degree, degree) / max(degree.sum(), 1.0)
  return (number > expected) | np.eye(num_clusters, dtype=bool)


def find(
  kernel: Array,
  labels: LabelCounts,
  neighbors: Array,
  options: FindingOptions | None = None,
) -> list[AmbiguousTerm]:
  """Ambiguous words, those with the highest score first.

  Args:
    kernel: the softmax layer, one row a label, float32 [labels, dim].
    labels: how often they occur.
    neighbors: see `neighboring`.
    options: the rule's numbers.
  """
  options = options or FindingOptions()
  candidates = np.flatnonzero(enriched(labels, options))
  candidates = candidates[np.argsort(labels.plain[candidates], kind="stable")]
  if not len(candidates):
    return []
  terms, starts = np.unique(labels.plain[candidates], return_index=True)
  totals = labels.term_counts
  found = []
  for term, senses in zip(
    terms.tolist(), np.split(candidates, starts[1:]), strict=True
  ):
    best = _furthest(kernel, labels, neighbors, senses, totals[term], options)
    if best is not None and best.score >= options.min_distance:
      found.append(best)
  return sorted(found, key=lambda word: (-word.score, word.term))


def _furthest(
  kernel: Array,
  labels: LabelCounts,
  neighbors: Array,
  senses: Array,
  total: int,
  options: FindingOptions,
) -> AmbiguousTerm | None:
  """The two senses of a word that are furthest apart, where there are two."""
  near = neighbors[np.ix_(labels.cluster[senses], labels.cluster[senses])]
  counts = labels.counts[senses]
  # In clusters that neighbour one of two senses, or both.
  held = (near[:, None] | near[None]) @ counts
  may_be = ~near & (held >= options.min_share * total)
  if not may_be.any():
    return None
  columns = kernel[senses].astype(np.float64)
  columns /= np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-12)
  distance = np.where(may_be, 1.0 - columns @ columns.T, -np.inf)
  pair = np.array(np.unravel_index(np.argmax(distance), distance.shape))
  pair = pair[np.argsort(-counts[pair], kind="stable")]
  first, second = pair.tolist()
  return AmbiguousTerm(
    term=int(labels.plain[senses[0]]),
    score=float(distance[first, second]),
    senses=(int(senses[first]), int(senses[second])),
    clusters=(
      int(labels.cluster[senses[first]]),
      int(labels.cluster[senses[second]]),
    ),
    counts=(int(counts[first]), int(counts[second])),
    share=float(held[first, second] / total),
  )


def against_truth(
  found: Collection[str], planted: Collection[str]
) -> dict[str, Any]:
  """How well finding went, where the truth is known.

  Args:
    found: words that were called ambiguous.
    planted: those that are.

  Returns:
    "found" and "planted" (how many of the planted ones were found),
    "flagged" (how many words were called ambiguous), "precision" (None where
    none was) and "recall".
  """
  hits = len(set(found) & set(planted))
  return {
    "found": hits,
    "planted": len(planted),
    "flagged": len(found),
    "precision": hits / len(found) if found else None,
    "recall": hits / len(planted) if planted else None,
  }
