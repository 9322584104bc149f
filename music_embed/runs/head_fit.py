"""A label head fitted on stored embeddings, in memory.

What the sense stage trains, without its files: the same batches, objective
and trainer, for choices that take many small fits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import tensorflow as tf
import tf_keras
import threadpoolctl

from music_embed.core import errors, keys
from music_embed.data.pipeline import (
  batching,
  embedded,
  labelled,
  recording_windows,
  sampling,
)
from music_embed.data.records import embedding_store
from music_embed.models import embedder as embedder_lib
from music_embed.models.heads import sharded_label_softmax as head_lib
from music_embed.objectives import sharded_label_softmax
from music_embed.training import optimizers, task, trainer

Array = npt.NDArray[Any]

_POSTERIORS = 1 << 25
"""Numbers of a block of posteriors: 128 MiB."""


@dataclasses.dataclass(frozen=True)
class FitOptions:
  """How a head is fitted.

  Attributes:
    train_steps: of the fit.
    batch: embeddings of a step.
    learning_rate: Adam's; the initial one where it decays.
    decays: whether it falls to 0 along a cosine.
  """

  train_steps: int = 1_000
  batch: int = 132
  learning_rate: float = 1e-2
  decays: bool = True

  def __post_init__(self) -> None:
    for name in ("train_steps", "batch"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"FitOptions.{name} must be at least 1")


@dataclasses.dataclass(frozen=True)
class FittedHead:
  """A linear softmax classifier.

  Attributes:
    kernel: float32 [labels, dim].
    bias: float32 [labels].
  """

  kernel: Array
  bias: Array

  def summed_posteriors(
    self,
    store: embedding_store.EmbeddingStore,
    recordings: Array,
    groups: Array,
    num_groups: int,
  ) -> Array:
    """Posteriors of groups of labels, means over a recording's rows.

    Args:
      store: embeddings of all recordings.
      recordings: indices, int [recordings].
      groups: group of each label, int32 [labels]; negative: of none.
      num_groups: how many there are.

    Returns:
      float32 [recordings, num_groups].
    """
    members = np.flatnonzero(groups >= 0)
    ones = np.ones(len(members), np.float32)
    member_of = scipy.sparse.csr_matrix(
      (ones, (members, groups[members])), (len(groups), num_groups)
    )
    rows_each = store.indptr[recordings + 1] - store.indptr[recordings]
    result = np.empty((len(recordings), num_groups), np.float32)
    with threadpoolctl.threadpool_limits(1, "blas"):
      for block in _blocks(rows_each, _POSTERIORS // len(groups)):
        rows = np.concatenate(
          [
            store.embeddings[store.indptr[i] : store.indptr[i + 1]]
            for i in recordings[block]
          ]
        )
        means = self._mean_posteriors(rows, rows_each[block])
        result[block] = means @ member_of
    return result

  def _mean_posteriors(self, rows: Array, rows_each: Array) -> Array:
    """[rows, dim] -> [recordings, labels]."""
    posteriors: Array = rows @ self.kernel.T
    posteriors += self.bias
    np.subtract(posteriors, posteriors.max(1, keepdims=True), posteriors)
    np.exp(posteriors, posteriors)
    owner = np.repeat(np.arange(len(rows_each)), rows_each)
    weights = np.zeros((len(rows_each), len(rows)), np.float32)
    share = posteriors.sum(axis=1) * rows_each[owner]
    weights[owner, np.arange(len(rows))] = 1.0 / share
    return weights @ posteriors


def fit(
  store: embedding_store.EmbeddingStore,
  indptr: Array,
  indices: Array,
  num_labels: int,
  recordings: Array,
  *,
  options: FitOptions,
  seed: int,
) -> FittedHead:
  """Fits a softmax head on recordings' labels; the same for the same seed.

  Args:
    store: embeddings of all recordings.
    indptr: labels' row starts, int64 [all recordings + 1].
    indices: label ids, int32 [entries].
    num_labels: size of the vocabulary.
    recordings: those to fit on, int [n]; without a label they are left out.
    options: steps, batch, learning rate.
    seed: of the initial kernel and the batches.

  Returns:
    The head after the last step.

  Raises:
    DataError: none of the recordings has a label.
  """
  indptr, indices = np.asarray(indptr), np.asarray(indices, np.int32)
  recordings = np.asarray(recordings)
  counts = indptr[recordings + 1] - indptr[recordings]
  with_labels = recordings[counts > 0]
  if not with_labels.size:
    raise errors.DataError("no recording to fit a label head on has a label")
  steps = embedded.embedded_steps(
    store,
    draw=sampling.RecordingDraw(with_labels),
    targets=label_targets(indptr, indices, int(counts.max())),
    batch=options.batch,
    seed=seed,
  )
  head = head_lib.ShardedLabelSoftmaxHead(num_labels=num_labels)
  head.set_num_labels(num_labels, seed=seed)
  head.build(tf.TensorShape([None, store.dim]))
  trainer_of(head, steps, options, seed).train(tf.constant(options.train_steps))
  assert head.bias is not None
  return FittedHead(head.kernel.whole(), head.bias.whole())


def label_targets(
  indptr: Array, indices: Array, width: int
) -> recording_windows.Targets:
  """Recordings' label ids, padded to a width, from a CSR of them."""
  return recording_windows.Targets(
    keys.LABEL_IDS,
    (width,),
    np.dtype(np.int32),
    lambda rows: labelled.padded_rows(indptr, indices, rows, width),
  )


def trainer_of(
  head: head_lib.ShardedLabelSoftmaxHead,
  steps: batching.Steps,
  options: FitOptions,
  seed: int,
) -> trainer.Trainer:
  """A trainer of a head alone, as a stage has that trains nothing else.

  Args:
    head: built.
    steps: its batches.
    options: batch, learning rate and its decay.
    seed: of the stage.
  """
  source = embedded.EmbeddedSource(batch_windows=options.batch)
  nothing = tf_keras.layers.Identity
  runner = trainer.Trainer(
    embedder=embedder_lib.Embedder(
      backbone=nothing(), projection=nothing(), label_head=head
    ),
    tasks=[
      task.Task(sharded_label_softmax.ShardedLabelSoftmaxObjective(), source)
    ],
    optimizers=[
      optimizers.PartOptimizer(
        ("label_head",),
        options.learning_rate,
        decay_steps=options.train_steps if options.decays else None,
      )
    ],
    preprocess=lambda windows, *_: windows,
    seed=seed,
  )
  batches = batching.dataset_of_steps(
    steps, first_step=0, num_parallel_calls=2, prefetch_batches=8
  )
  runner.set_dataset(tf.data.Dataset.zip((batches,)))
  return runner


def _blocks(rows_each: Array, most: int) -> Iterator[slice]:
  """Consecutive recordings with at most so many rows, or one with more."""
  first, rows = 0, 0
  for place, count in enumerate(rows_each):
    if rows and rows + count > most:
      yield slice(first, place)
      first, rows = place, 0
    rows += int(count)
  if rows:
    yield slice(first, len(rows_each))
