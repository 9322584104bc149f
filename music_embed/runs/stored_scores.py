"""Label scores of recordings whose embeddings are stored: no network runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.data.records import embedding_store
from music_embed.models import inference
from music_embed.models.heads import label_softmax
from music_embed.runs import label_columns
from music_embed.training import interruption

Array = npt.NDArray[Any]

_POSTERIORS = 1 << 24
"""Numbers that are held at once for the recordings of a block."""


class StoredScores:
  """Mean posteriors of a head over the stored rows of recordings."""

  def __init__(
    self,
    head: label_softmax.LabelSoftmaxHead,
    columns: label_columns.LabelColumns,
    *,
    batch_windows: int,
    strategy: tf.distribute.Strategy | None = None,
  ) -> None:
    """Makes the scorer; it sees later updates of the head.

    Args:
      head: built.
      columns: what is scored.
      batch_windows: rows a step, at least; over all replicas.
      strategy: the one that the head was built in; None for none.
    """
    self._columns = columns
    model: Any = _Embedded(head)
    self._run = inference.RecordingEmbedder(
      model,
      batch_windows=batch_windows,
      label_ids=columns.columns,
      strategy=strategy,
    )

  def __call__(
    self,
    store: embedding_store.EmbeddingStore,
    recordings: Array,
    should_stop: Callable[[], bool] = lambda: False,
  ) -> Array:
    """Scores of recordings; a collective of the strategy's processes.

    Args:
      store: embeddings of all recordings.
      recordings: indices, int [recordings].
      should_stop: asked between blocks.

    Returns:
      [recordings, labels].

    Raises:
      Stopped: it was asked to.
    """
    size = max(_POSTERIORS // max(len(self._columns.columns), 1), 1)
    scores = []
    for first in range(0, len(recordings), size):
      if should_stop():
        raise interruption.Stopped
      outputs = self._run(
        np.asarray(
          store.embeddings[store.indptr[index] : store.indptr[index + 1]]
        )
        for index in recordings[first : first + size]
      )
      assert outputs.label_scores is not None
      scores.append(self._columns.summed(outputs.label_scores))
    return np.concatenate(scores)


class _Embedded:
  """What `RecordingEmbedder` asks of a network, for embeddings as windows."""

  cf_head = None

  def __init__(self, label_head: label_softmax.LabelSoftmaxHead) -> None:
    self.label_head = label_head

  def embed(self, embeddings: tf.Tensor, *, training: bool) -> tf.Tensor:
    del training
    return embeddings
