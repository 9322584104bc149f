"""Is a term recognised better once its senses are told apart?

Huang et al. 2020, section 3.3, split labels by clusters of recordings. The AUC
of split labels says little: the cluster alone predicts them, the better the
smaller clusters are. So posteriors are summed over the senses of a term and
judged on the unsplit term, beside those of clusters that were shuffled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse

from music_embed.evaluation import label_prediction
from music_embed.evaluation.arrays import Array

MAX_TERMS = 5_000


@dataclasses.dataclass(frozen=True)
class TermAuc:
  """AUC-ROC of terms; NaN where a term has one class only.

  Attributes:
    terms: indices in the plain vocabulary, int64 [terms].
    occurrences: recordings under test that hold each, int64 [terms].
    unsplit: of a head on plain labels, float64 [terms].
    summed: of a head on senses, posteriors summed over those of a term.
    shuffled: the same where clusters were shuffled among the recordings that
      have one, float64 [shuffles, terms].
    split_auc: mean AUC of the split labels themselves, and `num_split` of how
      many; NaN without any that occurs often enough.
  """

  terms: Array
  occurrences: Array
  unsplit: Array
  summed: Array
  shuffled: Array
  split_auc: float
  num_split: int

  @property
  def gain(self) -> Array:
    """By how much senses beat shuffled ones, float64 [terms]."""
    return self.summed - self.shuffled.mean(axis=0)

  def means(self, terms: Array | None = None) -> dict[str, Any]:
    """Means over terms as JSON; None where there are none.

    Args:
      terms: indices in the plain vocabulary; None takes all. Those that were
        not judged are left out.

    Returns:
      "terms" (how many), "auc_unsplit", "auc_summed", "auc_shuffled", "gain"
      and "gain_error" (standard error over terms).
    """
    chosen = ~np.isnan(self.unsplit)
    if terms is not None:
      chosen &= np.isin(self.terms, terms)
    gain = self.gain[chosen]
    spread = gain.std(ddof=1) if len(gain) > 1 else float("nan")
    return {
      "terms": int(chosen.sum()),
      "auc_unsplit": _mean(self.unsplit[chosen]),
      "auc_summed": _mean(self.summed[chosen]),
      "auc_shuffled": _mean(self.shuffled[:, chosen].mean(axis=0)),
      "gain": _mean(gain),
      "gain_error": finite(spread / max(len(gain), 1) ** 0.5),
    }

  def of_term(self, term: int) -> dict[str, Any] | None:
    """One term's figures as JSON; None where it was not judged."""
    places = np.flatnonzero(self.terms == term)
    if not len(places):
      return None
    place = int(places[0])
    return {
      "occurrences": int(self.occurrences[place]),
      "auc_unsplit": finite(self.unsplit[place]),
      "auc_summed": finite(self.summed[place]),
      "auc_shuffled": finite(self.shuffled[:, place].mean()),
    }


def judged(
  targets: scipy.sparse.csr_matrix,
  *,
  min_occurrences: int,
  max_labels: int = MAX_TERMS,
) -> Array:
  """Labels that recordings under test can judge, most frequent first.

  Args:
    targets: sparse 0/1 `[recordings, labels]`.
    min_occurrences: rarer labels are left out, and those of all recordings.
    max_labels: at most so many.

  Returns:
    int64 [judged].
  """
  count = np.asarray(targets.sum(axis=0)).reshape(-1)
  order = np.argsort(-count, kind="stable")
  few = (count[order] >= max(min_occurrences, 1)) & (
    count[order] < targets.shape[0]
  )
  return order[few][:max_labels].astype(np.int64)


def auc(
  targets: scipy.sparse.csr_matrix, labels: Array, scores: Array
) -> Array:
  """AUC-ROC of some labels.

  Args:
    targets: sparse 0/1 `[recordings, vocabulary]`.
    labels: which of its columns `scores` has, int64 [labels].
    scores: `[recordings, labels]`.

  Returns:
    float64 [labels], NaN where a label has one class only.
  """
  positive = targets.tocsc()[:, labels].toarray() > 0
  return label_prediction.label_auc(positive, scores)


def groups(plain: Array, terms: Array, num_plain: int) -> Array:
  """Which of some terms each label is a sense of.

  Args:
    plain: the term of each label, int [labels].
    terms: the terms wanted, int [terms].
    num_plain: size of the plain vocabulary.

  Returns:
    int32 [labels], index in `terms`, -1 for senses of others.
  """
  place = np.full(num_plain, -1, np.int32)
  place[terms] = np.arange(len(terms), dtype=np.int32)
  return place[plain]


def senses_per_term(plain: Array, cluster: Array) -> dict[int, int]:
  """How many terms are split into how many senses.

  Args:
    plain: the term of each label, int [labels].
    cluster: the cluster of each, -1 where it is not split, int [labels].

  Returns:
    Terms by number of senses, of which there is one where nothing was split.
  """
  terms = np.unique(plain)
  counts = np.bincount(plain[cluster >= 0], minlength=int(terms.max()) + 1)
  number, how_many = np.unique(np.maximum(counts[terms], 1), return_counts=True)
  return dict(zip(number.tolist(), how_many.tolist(), strict=True))


def finite(value: float) -> float | None:
  """A number for JSON: None where there is none."""
  return float(value) if np.isfinite(value) else None


def rounded(values: Mapping[str, Any], digits: int = 6) -> dict[str, Any]:
  """The same with floats cut to so many digits."""
  return {
    key: round(value, digits) if isinstance(value, float) else value
    for key, value in values.items()
  }


def _mean(values: Array) -> float | None:
  return float(values.mean()) if len(values) else None
