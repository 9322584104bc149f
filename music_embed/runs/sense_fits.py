"""Heads on unsplit labels, on senses and on shuffled ones, fitted alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import prepared, sense_labels
from music_embed.evaluation import (
  label_prediction,
  sense_auc,
  senses,
  told_apart,
)
from music_embed.runs import head_fit, sense_bench

Array = npt.NDArray[Any]
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Fitted:
  """A head and the labels that it was fitted on."""

  labels: senses_lib.SplitLabels
  head: head_fit.FittedHead

  def sense_head(self, train: range) -> told_apart.SenseHead:
    """What says whether planted words are told apart."""
    rows = np.arange(train.start, train.stop)
    split = self.labels
    return told_apart.SenseHead(
      self.head.kernel,
      split.labels,
      split.plain,
      label_prediction.targets_of(
        split.indptr, split.indices, rows, len(split.labels)
      ),
    )


@dataclasses.dataclass(frozen=True)
class SenseFits:
  """Heads that differ in nothing but the labels.

  Attributes:
    bench: what fitted them, with the recordings under test.
    unsplit: on the plain labels.
    split: on the senses.
    shuffled: on senses by clusters that were dealt anew among the recordings
      that have one.
  """

  bench: sense_bench.Bench
  unsplit: Fitted
  split: Fitted
  shuffled: tuple[Fitted, ...]

  def scores(self, label_ids: Array) -> sense_auc.HeadScores:
    """Posteriors of unsplit labels by each head.

    Args:
      label_ids: plain labels, int64 [labels].
    """
    size = len(self.bench.data.vocabulary)

    def of(fitted: Fitted) -> Array:
      groups = senses.groups(fitted.labels.plain, label_ids, size)
      return fitted.head.summed_posteriors(
        self.bench.store, self.bench.recordings, groups, len(label_ids)
      )

    return sense_auc.HeadScores(
      of(self.unsplit), of(self.split), tuple(map(of, self.shuffled))
    )


def fit(
  bench: sense_bench.Bench, known: sense_labels.RelabelledDataset, say: Say
) -> SenseFits:
  """Fits all heads on the training part.

  Args:
    bench: over the dataset with its own labels.
    known: the same dataset through the senses.
    say: told what is being done.
  """

  def fitted(labels: senses_lib.SplitLabels) -> Fitted:
    return Fitted(labels, bench.head(labels))

  def control(draw: int) -> Fitted:
    say(f"senses: shuffled control {draw + 1} of {bench.num_shuffles}")
    clusters = known.sense_labels.recording_cluster
    return fitted(bench.split(sense_bench.shuffled(clusters, bench.seed, draw)))

  say("senses: heads on unsplit labels and on senses")
  return SenseFits(
    bench,
    fitted(labels_of(bench.data)),
    fitted(labels_of(known)),
    tuple(control(draw) for draw in range(bench.num_shuffles)),
  )


def labels_of(data: prepared.PreparedDataset) -> senses_lib.SplitLabels:
  """A dataset's labels, split or not, as what splitting gives."""
  indptr, indices = data.labels_csr
  if isinstance(data, sense_labels.RelabelledDataset):
    plain, cluster = data.sense_labels.plain, data.sense_labels.cluster
  else:
    plain = np.arange(len(data.vocabulary), dtype=np.int32)
    cluster = np.full_like(plain, senses_lib.PLAIN)
  return senses_lib.SplitLabels(
    data.vocabulary, data.label_counts, plain, cluster, indptr, indices
  )
