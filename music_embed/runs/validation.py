"""Measures on the validation part while a stage trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse
import tensorflow as tf

from music_embed.audio import windows as windows_lib
from music_embed.data.records import embedding_store, prepared, quantize
from music_embed.evaluation import validation as measures
from music_embed.models import embedder as embedder_lib
from music_embed.models import inference
from music_embed.retrieval import projector
from music_embed.runs import label_columns, stored_scores
from music_embed.training import interruption

Measure = Callable[
  [embedder_lib.Embedder, Callable[[], bool]], Mapping[str, float]
]


class StageValidation(Protocol):
  """What a stage may be validated by."""

  def measure(
    self,
    data: prepared.PreparedDataset,
    *,
    projector_folder: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    store: embedding_store.EmbeddingStore | None = None,
  ) -> Measure:
    """As `Validation.measure`, with measures of its own."""


@dataclasses.dataclass(frozen=True)
class Validation:
  """Link and label prediction on the validation part, never the evaluation's.

  Attributes:
    max_recordings: of the validation part that are embedded, evenly spread.
    min_occurrences: labels rarer than this among them are left out.
    batch_windows: windows of one network call.
    seed: of the draw of pairs in large parts.
  """

  max_recordings: int = 2_500
  min_occurrences: int = 10
  batch_windows: int = 128
  seed: int = 0

  def measure(
    self,
    data: prepared.PreparedDataset,
    *,
    projector_folder: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    store: embedding_store.EmbeddingStore | None = None,
  ) -> Measure:
    """A function from a network to "link_ap", "link_auc" and "label_auc".

    With a CF head also "cf_link_ap" and "cf_link_auc", of its predicted
    vectors. Measures that the part is too small for, and label AUC without a
    label head, are left out. The function's second argument says between
    batches whether to stop; it then raises `interruption.Stopped`.

    Args:
      data: whose validation part is embedded.
      projector_folder: gets the embeddings for TensorBoard's projector; None
        keeps none.
      strategy: the one that the network was built in; None for none.
      store: the network's embeddings, where it trains no more: then only its
        label head is measured, and no window embedded.

    Labels that are senses are measured as `label_columns` says.
    """
    part = data.split_range("validation")
    count = min(len(part), self.max_recordings)
    chosen = part.start + np.arange(count) * len(part) // max(count, 1)
    edges = data.graph("validation").pairs_among(chosen)
    targets = label_columns.unsplit_targets(data, chosen)
    runners: dict[int, inference.RecordingEmbedder] = {}
    label_ids = np.flatnonzero(
      np.asarray(targets.sum(axis=0)).ravel() >= self.min_occurrences
    )
    columns = label_columns.columns_of(data, label_ids)
    if store is not None:
      return self._of_stored(
        store, chosen, targets, label_ids, columns, strategy
      )

    def measure(
      embedder: embedder_lib.Embedder, should_stop: Callable[[], bool]
    ) -> Mapping[str, float]:
      has_labels = embedder.label_head is not None and len(label_ids) > 0
      if id(embedder) not in runners:  # Traced once, not at each validation.
        runners[id(embedder)] = recording_embedder(
          embedder,
          data,
          batch_windows=self.batch_windows,
          label_ids=columns.columns if has_labels else None,
          strategy=strategy,
        )
      windows = until(should_stop, all_windows(data, chosen))
      outputs = runners[id(embedder)](windows)
      if projector_folder is not None:
        projector.write(
          projector_folder,
          outputs.embeddings,
          {
            "recording": [data.recording_ids[index] for index in chosen],
            "title": [data.titles[index] for index in chosen],
          },
        )
      values = measures.link_measures(outputs.embeddings, edges, seed=self.seed)
      if outputs.cf_vectors is not None:
        of_cf = measures.link_measures(
          outputs.cf_vectors, edges, seed=self.seed
        )
        values |= {f"cf_{name}": value for name, value in of_cf.items()}
      if outputs.label_scores is not None:
        values |= measures.label_measures(
          columns.summed(outputs.label_scores),
          targets[:, label_ids],
          min_occurrences=self.min_occurrences,
        )
      return values

    return measure

  def _of_stored(
    self,
    store: embedding_store.EmbeddingStore,
    recordings: npt.NDArray[np.int64],
    targets: scipy.sparse.csr_matrix,
    label_ids: npt.NDArray[np.int64],
    columns: label_columns.LabelColumns,
    strategy: tf.distribute.Strategy | None,
  ) -> Measure:
    """`measure` of the label head alone."""
    scorers: dict[int, stored_scores.StoredScores] = {}

    def measure(
      embedder: embedder_lib.Embedder, should_stop: Callable[[], bool]
    ) -> Mapping[str, float]:
      if embedder.label_head is None or not len(label_ids):
        return {}
      if id(embedder) not in scorers:
        scorers[id(embedder)] = stored_scores.StoredScores(
          embedder.label_head,
          columns,
          batch_windows=self.batch_windows,
          strategy=strategy,
        )
      return measures.label_measures(
        scorers[id(embedder)](store, recordings, should_stop),
        targets[:, label_ids],
        min_occurrences=self.min_occurrences,
      )

    return measure


def recording_embedder(
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  *,
  batch_windows: int = 128,
  label_ids: npt.NDArray[Any] | None = None,
  strategy: tf.distribute.Strategy | None = None,
) -> inference.RecordingEmbedder:
  """A runner over a dataset's stored windows.

  Args:
    embedder: the network.
    data: gives the quantisation.
    batch_windows: windows of one network call.
    label_ids: labels to score, int `[labels]`; None for no scores.
    strategy: the one that the network was built in; None for none.
  """
  return inference.RecordingEmbedder(
    embedder,
    batch_windows=batch_windows,
    preprocess=lambda x: quantize.dequantize_tf(x, data.quantization),
    label_ids=label_ids,
    strategy=strategy,
  )


def all_windows(
  data: prepared.PreparedDataset, recordings: npt.NDArray[np.int64] | range
) -> Iterator[npt.NDArray[Any]]:
  """Consecutive windows of each recording, `[windows, *window_shape]`."""
  length = data.front_end.window_rows
  for index in recordings:
    starts = windows_lib.window_starts(int(data.num_rows[index]), length)
    yield data.windows(np.full(len(starts), index), starts)


def until(
  should_stop: Callable[[], bool], recordings: Iterator[npt.NDArray[Any]]
) -> Iterator[npt.NDArray[Any]]:
  """Recordings' windows until a stop is requested, which raises `Stopped`."""
  for windows in recordings:
    if should_stop():
      raise interruption.Stopped
    yield windows
