"""Heads on plain, split and shuffled labels, fitted and judged alike."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, seeds
from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import embedding_store, prepared
from music_embed.evaluation import ambiguity, label_prediction, senses
from music_embed.runs import head_fit

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Bench:
  """Fits heads on the training part and judges them on other recordings.

  Attributes:
    data: the dataset with its plain labels.
    store: embeddings of all its recordings by a network that trains no more.
    recordings: those under test, int64 [recordings].
    fit: how every head is fitted.
    splitting: which labels are split.
    finding: which words count as ambiguous.
    num_shuffles: control fits with shuffled clusters.
    min_occurrences: labels rarer than this under test are not judged.
    seed: of fits and shuffles.
    after_fit: called after each fit.
  """

  data: prepared.PreparedDataset
  store: embedding_store.EmbeddingStore
  recordings: Array
  fit: head_fit.FitOptions
  splitting: senses_lib.SenseOptions
  finding: ambiguity.FindingOptions
  num_shuffles: int = 3
  min_occurrences: int = 5
  seed: int = 0
  after_fit: Callable[[], None] = lambda: None

  @functools.cached_property
  def terms(self) -> Array:
    """Plain labels that are judged, int64 [terms].

    Raises:
      DataError: there are none.
    """
    found = senses.judged(
      self._plain_targets, min_occurrences=self.min_occurrences
    )
    if not len(found):
      raise errors.DataError(
        f"{self.data.directory}: no label occurs {self.min_occurrences} times"
        f" among the {len(self.recordings)} recordings that senses are judged"
        " on: lower senses.min_occurrences, or give one number of clusters"
      )
    return found

  @functools.cached_property
  def unsplit(self) -> Array:
    """AUC of the terms by a head on plain labels, float64 [terms]."""
    indptr, indices = self.data.labels_csr
    size = len(self.data.vocabulary)
    return self._auc(self._head(indptr, indices, size), np.arange(size))

  def split(self, recording_cluster: Array) -> senses_lib.SplitLabels:
    """Labels split by clusters, int32 [recordings]."""
    return senses_lib.split_labels(
      *self.data.labels_csr,
      self.data.vocabulary,
      recording_cluster,
      self.data.split_range("train"),
      self.splitting,
    )

  def head(self, split: senses_lib.SplitLabels) -> head_fit.FittedHead:
    """A head fitted on split labels."""
    return self._head(split.indptr, split.indices, len(split.labels))

  def judge(
    self,
    split: senses_lib.SplitLabels,
    recording_cluster: Array,
    head: head_fit.FittedHead,
  ) -> senses.TermAuc:
    """What senses gain; fits the shuffled controls.

    Args:
      split: labels split by clusters.
      recording_cluster: the clusters, int32 [recordings].
      head: fitted on them.
    """
    targets = self._targets(split.indptr, split.indices, len(split.labels))
    judged = senses.judged(targets, min_occurrences=self.min_occurrences)
    judged = judged[split.cluster[judged] >= 0]
    split_auc = float("nan")
    if len(judged):
      scores = self._scores(head, np.arange(len(split.labels)), judged)
      split_auc = float(senses.auc(targets, judged, scores).mean())
    occurrences = np.asarray(self._plain_targets.sum(axis=0)).ravel()
    return senses.TermAuc(
      terms=self.terms,
      occurrences=occurrences[self.terms],
      unsplit=self.unsplit,
      summed=self._auc(head, split.plain),
      shuffled=np.stack(
        [
          self._shuffled(recording_cluster, draw)
          for draw in range(self.num_shuffles)
        ]
      ),
      split_auc=split_auc,
      num_split=len(judged),
    )

  def counts(
    self, split: senses_lib.SplitLabels, recording_cluster: Array
  ) -> ambiguity.LabelCounts:
    """How often split labels occur among training recordings."""
    train = self.data.split_range("train")
    clusters = recording_cluster[train.start : train.stop]
    sizes = np.bincount(
      clusters[clusters >= 0], minlength=int(recording_cluster.max()) + 1
    )
    return ambiguity.LabelCounts(
      split.plain, split.cluster, split.counts, sizes, len(train)
    )

  def ambiguous(
    self,
    split: senses_lib.SplitLabels,
    recording_cluster: Array,
    kernel: Array,
  ) -> list[ambiguity.AmbiguousTerm]:
    """Ambiguous words by a head's kernel, float32 [split labels, dim]."""
    labels = self.counts(split, recording_cluster)
    neighbors = ambiguity.neighboring(
      self.data.graph("train").pairs(),
      recording_cluster,
      len(labels.cluster_sizes),
    )
    return ambiguity.find(kernel, labels, neighbors, self.finding)

  def uneven_terms(
    self, split: senses_lib.SplitLabels, recording_cluster: Array
  ) -> Array:
    """Terms that some cluster uses more than its size explains, int [terms]."""
    labels = self.counts(split, recording_cluster)
    return np.unique(split.plain[ambiguity.enriched(labels, self.finding)])

  def _shuffled(self, recording_cluster: Array, draw: int) -> Array:
    """AUC of the terms with clusters dealt out anew, float64 [terms]."""
    dealt = shuffled(recording_cluster, self.seed, draw)
    split = self.split(dealt)
    return self._auc(self.head(split), split.plain)

  def _head(
    self, indptr: Array, indices: Array, num_labels: int
  ) -> head_fit.FittedHead:
    train = self.data.split_range("train")
    fitted = head_fit.fit(
      self.store,
      indptr,
      indices,
      num_labels,
      np.arange(train.start, train.stop),
      options=self.fit,
      seed=self.seed,
    )
    self.after_fit()
    return fitted

  def _auc(self, head: head_fit.FittedHead, plain: Array) -> Array:
    scores = self._scores(head, plain, self.terms)
    return senses.auc(self._plain_targets, self.terms, scores)

  def _scores(
    self, head: head_fit.FittedHead, plain: Array, wanted: Array
  ) -> Array:
    """Posteriors summed over labels of one term, [recordings, wanted]."""
    groups = senses.groups(plain, wanted, int(plain.max()) + 1)
    return head.summed_posteriors(
      self.store, self.recordings, groups, len(wanted)
    )

  @functools.cached_property
  def _plain_targets(self) -> Any:
    size = len(self.data.vocabulary)
    return self._targets(*self.data.labels_csr, size)

  def _targets(self, indptr: Array, indices: Array, num_labels: int) -> Any:
    return label_prediction.targets_of(
      indptr, indices, self.recordings, num_labels
    )


def shuffled(recording_cluster: Array, seed: int, draw: int) -> Array:
  """Clusters dealt anew among the recordings that have one.

  Args:
    recording_cluster: int32 [recordings], -1 without one.
    seed: of the shuffles.
    draw: which of them.
  """
  clustered = np.flatnonzero(recording_cluster >= 0)
  rng = seeds.generator(seed, "shuffled_clusters", draw)
  dealt = recording_cluster.copy()
  dealt[clustered] = recording_cluster[rng.permutation(clustered)]
  return dealt
