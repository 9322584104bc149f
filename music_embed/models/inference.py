"""Windows of many recordings to one embedding, and label scores, each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.models import embedder

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class RecordingOutputs:
  """What the network says about recordings, in the order they came.

  Attributes:
    embeddings: plain means of the windows' embeddings, not renormalised,
      [recordings, dim].
    num_windows: int64 [recordings].
    label_scores: mean posteriors of the windows, for the labels asked for,
      [recordings, labels]; None where none were asked for.
    cf_vectors: means of the windows' predicted CF vectors, [recordings,
      num_factors]; None without a CF head.
  """

  embeddings: Array
  num_windows: npt.NDArray[np.int64]
  label_scores: Array | None
  cf_vectors: Array | None = None


class RecordingEmbedder:
  """Runs a network over recordings in batches of one static shape.

  Batches cross recordings, and the last one is padded, so that the network
  is traced once however long the recordings are. Under a strategy each
  replica takes an equal part of every batch; every process gives the same
  outputs, and must be given the same recordings.
  """

  def __init__(
    self,
    model: embedder.Embedder,
    *,
    batch_windows: int = 128,
    preprocess: Callable[[tf.Tensor], tf.Tensor] | None = None,
    label_ids: Sequence[int] | Array | None = None,
    strategy: tf.distribute.Strategy | None = None,
  ) -> None:
    """Makes the runner; it sees later updates of the model's weights.

    Args:
      model: the network; needs a label head where `label_ids` are given.
      batch_windows: windows a step, at least; over all replicas.
      preprocess: turns stored windows into float ones on the device, e.g.
        dequantisation; None where windows are float already.
      label_ids: labels to score; None for no scores.
      strategy: the one that the model was built in; None for a model outside
        of any.
    """
    self._model = model
    self._strategy = strategy
    replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    self._batch_windows = -(-batch_windows // replicas) * replicas
    self._preprocess = preprocess
    self._label_ids = (
      None if label_ids is None else np.asarray(label_ids, np.int32)
    )
    self._step = tf.function(self._run)

  def __call__(self, recordings: Iterable[Array]) -> RecordingOutputs:
    """Embeds recordings.

    Args:
      recordings: each recording's windows, [windows, *window_shape], at
        least one; may be a generator.

    Returns:
      One row a recording; sums over windows are taken in float64.
    """
    sums: list[Array] = []
    scores: list[Array] = []
    counts: list[int] = []
    for owners, outputs in self._batches(recordings):
      for owner in np.unique(owners):
        rows = owners == owner
        if owner == len(sums):
          sums.append(np.zeros(outputs[0].shape[1]))
          scores.append(np.zeros(outputs[1].shape[1]))
          counts.append(0)
        sums[owner] += outputs[0][rows].sum(0, np.float64)
        scores[owner] += outputs[1][rows].sum(0, np.float64)
        counts[owner] += int(rows.sum())
    embeddings = _means(sums, counts)
    head = self._model.cf_head
    return RecordingOutputs(
      embeddings=embeddings,
      num_windows=np.asarray(counts, np.int64),
      label_scores=None if self._label_ids is None else _means(scores, counts),
      # The mean of a linear head's outputs.
      cf_vectors=None if head is None else head.vectors(embeddings),
    )

  def windows(self, recordings: Iterable[Array]) -> Array:
    """Embeds windows.

    Args:
      recordings: as for a call, at least one.

    Returns:
      The embedding of each window of all recordings, in their order,
      [windows, dim].
    """
    return np.concatenate(
      [embeddings for _, (embeddings, _) in self._batches(recordings)]
    )

  def _batches(
    self, recordings: Iterable[Array]
  ) -> Iterator[tuple[npt.NDArray[np.int64], tuple[Array, Array]]]:
    """Yields owners [windows] and the outputs of as many windows."""
    pending: list[Array] = []
    owners: list[int] = []
    for index, windows in enumerate(recordings):
      for window in windows:
        pending.append(window)
        owners.append(index)
        if len(pending) == self._batch_windows:
          yield np.asarray(owners), self._outputs(pending)
          pending, owners = [], []
    if pending:
      yield np.asarray(owners), self._outputs(pending)

  def _outputs(self, windows: list[Array]) -> tuple[Array, Array]:
    batch = np.zeros((self._batch_windows, *windows[0].shape), windows[0].dtype)
    batch[: len(windows)] = windows
    embedding, scores = self._step(tf.constant(batch))
    return embedding.numpy()[: len(windows)], scores.numpy()[: len(windows)]

  def _run(self, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """[batch, *window_shape] -> [batch, dim] and [batch, labels]."""
    if self._strategy is None:
      return self._embedded(windows)
    outputs = self._strategy.run(self._shared, args=(windows,))
    embedding, scores = (
      self._strategy.experimental_local_results(output)[0] for output in outputs
    )
    return embedding, scores

  def _shared(self, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One replica's part of a batch; the outputs are those of all."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
      return self._embedded(windows)
    rows = self._batch_windows // replicas
    first = rows * tf.cast(context.replica_id_in_sync_group, tf.int32)
    begin = tf.stack([first, *[0] * (windows.shape.rank - 1)])
    own = tf.slice(windows, begin, [rows, *windows.shape[1:]])
    embedding, scores = self._embedded(own)
    whole = context.all_gather(tf.identity(embedding), axis=0)
    if self._label_ids is None:
      return whole, whole[:, :0]
    return whole, context.all_gather(tf.identity(scores), axis=0)

  def _embedded(self, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    if self._preprocess is not None:
      windows = self._preprocess(windows)
    embedding = self._model.embed(windows, training=False)
    if self._label_ids is None:
      return embedding, embedding[:, :0]
    head = self._model.label_head
    assert head is not None
    return embedding, head.posteriors(embedding, self._label_ids)


def _means(sums: list[Array], counts: list[int]) -> Array:
  if not sums:
    return np.zeros((0, 0), np.float32)
  return np.stack(
    [total / count for total, count in zip(sums, counts, strict=True)]
  ).astype(np.float32)
