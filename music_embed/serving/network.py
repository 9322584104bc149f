"""The signatures of an exported model in numpy."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.core import errors, types
from music_embed.data.records import label_names as label_names_lib
from music_embed.export import exported as exported_lib

Array = npt.NDArray[np.float32]

BATCH_WINDOWS = 64
"""That pass the network at once."""

_LABELS_AT_ONCE = 1 << 16


class Network:
  """Windows to vectors, vectors to labels, labels to vectors.

  The SavedModel is loaded when it is first used; several threads may use it.
  """

  def __init__(self, directory: str | os.PathLike[str]) -> None:
    """Reads what the export says of itself.

    Args:
      directory: of the export.

    Raises:
      ConfigError: there is none, it is a training run's, or an export of
        another format.
      DataError: it is damaged.
    """
    self._exported = exported_lib.Exported(os.fspath(directory))
    self._loading = threading.Lock()
    self._saved_model: Any = None

  @property
  def exported(self) -> exported_lib.Exported:
    """The export, with its card."""
    return self._exported

  @property
  def fingerprint(self) -> str:
    """Vectors of models with different ones must not be compared."""
    return self._exported.fingerprint

  @property
  def dim(self) -> int:
    """Width of the embedding."""
    return self._exported.dim

  @property
  def front_end(self) -> types.LogMelFrontEnd:
    """What a waveform passes first."""
    return self._exported.front_end

  @property
  def label_names(self) -> label_names_lib.LabelNames | None:
    """Names of the labels; None of a model without a label head."""
    return self._exported.label_names

  def embed_log_mel(self, windows: Array) -> Array:
    """Embeds windows that passed the front end.

    In multiples of `BATCH_WINDOWS` a window's vector is the same to the last
    bit whatever the others are; in smaller batches up to rounding.

    Args:
      windows: float32 [windows, frames, bins], any number of them.

    Returns:
      float32 [windows, dim], of unit norm.
    """
    parts = [np.zeros((0, self.dim), np.float32)]
    for start in range(0, len(windows), BATCH_WINDOWS):
      batch = np.asarray(windows[start : start + BATCH_WINDOWS], np.float32)
      outputs = self._call("embed_log_mel", log_mel=batch)
      parts.append(outputs["window_embeddings"])
    return np.concatenate(parts)

  def label_embeddings(
    self,
    window_vectors: Array,
    recording: npt.NDArray[Any],
    top: int,
  ) -> tuple[npt.NDArray[np.int32], Array]:
    """The best labels of recordings whose windows are embedded.

    Args:
      window_vectors: float32 [windows, dim].
      recording: which recording each window is of, int [windows], from 0.
      top: labels of each recording; all where there are fewer.

    Returns:
      Rows of `label_names`, int32 [recordings, top], by falling score, and
      scores, float32 [recordings, top].

    Raises:
      ConfigError: the model has no labels, or `top` is not positive.
    """
    names = self.required_label_names()
    if top < 1:
      raise errors.ConfigError(f"top={top}: must be at least 1")
    outputs = self._call(
      "label_embeddings",
      window_embeddings=np.asarray(window_vectors, np.float32),
      recording=np.asarray(recording, np.int32),
      top_k=np.int32(min(top, len(names.labels))),
    )
    return outputs["indices"], outputs["scores"]

  def label_vectors(self, labels: npt.NDArray[Any] | None = None) -> Array:
    """Vectors of labels, in the same space as those of recordings.

    Args:
      labels: rows of `label_names`, int [n]; None for all.

    Returns:
      float32 [n, dim], of unit norm.

    Raises:
      ConfigError: the model has no labels, or they have no vectors.
    """
    names = self.required_label_names()
    if labels is None:
      labels = np.arange(len(names.labels))
    parts = [np.zeros((0, self.dim), np.float32)]
    for start in range(0, len(labels), _LABELS_AT_ONCE):
      rows = np.asarray(labels[start : start + _LABELS_AT_ONCE], np.int32)
      parts.append(self._call("label_vectors", labels=rows)["label_vectors"])
    return np.concatenate(parts)

  def required_label_names(self) -> label_names_lib.LabelNames:
    """Names of the labels; raises ConfigError where there are none."""
    names = self.label_names
    if names is None:
      raise errors.ConfigError(
        f"{self.exported.directory}: this model has no labels; export a run"
        " with a label stage"
      )
    return names

  def _call(self, name: str, **inputs: Any) -> dict[str, npt.NDArray[Any]]:
    """Runs a signature of the SavedModel; raises DataError and ConfigError."""
    with self._loading:
      if self._saved_model is None:
        self._saved_model = self._exported.load()
    signatures = self._saved_model.signatures
    if name not in signatures:
      raise errors.ConfigError(
        f"{self.exported.directory}: this model has no {name.replace('_', ' ')}"
      )
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    outputs = signatures[name](**tensors)
    return {key: value.numpy() for key, value in outputs.items()}
