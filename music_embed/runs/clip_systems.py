"""What turns the waveforms of clips into vectors: networks and baselines."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from music_embed.audio import log_mel, statistics, windows
from music_embed.core import types
from music_embed.export import exported as exported_lib
from music_embed.export import signatures

Array = npt.NDArray[np.float32]
_Padded = Callable[..., dict[str, tf.Tensor]]


class ClipSystem(Protocol):
  """Makes vectors of waveforms."""

  @property
  def name_hint(self) -> str:
    """A short name, where the user gives none."""

  @property
  def description(self) -> str:
    """What it is, for a reader of tables."""

  @property
  def sample_rate_hz(self) -> int:
    """Of the waveforms that it takes."""

  @property
  def fingerprint(self) -> dict[str, Any]:
    """JSON values that decide its vectors, front end included."""

  def __call__(self, waveforms: Sequence[Array]) -> list[Array]:
    """Embeds clips.

    Args:
      waveforms: float32 [samples] each, at least one sample.

    Returns:
      float32 [windows, dim] of each, at least one window.
    """


class ExportedSystem:
  """A trained network as it was exported: its windows' embeddings.

  The SavedModel is opened at the first call.
  """

  def __init__(self, directory: str) -> None:
    """Reads what the export is; raises as `exported.Exported`."""
    self.exported = exported_lib.Exported(directory)
    self._model: Any = None

  @property
  def name_hint(self) -> str:
    """Name of its directory."""
    return os.path.basename(os.path.normpath(self.exported.directory))

  @property
  def description(self) -> str:
    """The network's class, where the export says it."""
    return f"{self.exported.network_name or 'exported network'}, trained"

  @property
  def sample_rate_hz(self) -> int:
    """Of its front end."""
    return self.exported.front_end.sample_rate_hz

  @property
  def fingerprint(self) -> dict[str, Any]:
    """The export's, which is of weights, front end and vocabulary."""
    return {
      "kind": "exported",
      "model": self.exported.fingerprint,
      "front_end": self.exported.front_end.to_json(),
    }

  def __call__(self, waveforms: Sequence[Array]) -> list[Array]:
    """As `ClipSystem`; raises DataError where the SavedModel is damaged."""
    if self._model is None:
      self._model = self.exported.load()
    return _embedded(self._model.signatures["embed_padded"], waveforms)


class UntrainedSystem:
  """The network of an export with fresh weights: what its design alone gives.

  As evaluation's baseline of that name: the weights that a training run with
  this seed begins with, batch norm with its initial moments.
  """

  name_hint = "untrained"

  def __init__(self, directory: str, seed: int = 0) -> None:
    """Reads what the export is.

    Args:
      directory: of the export.
      seed: of the weights.

    Raises:
      ConfigError: as `exported.Exported`; or the export does not say how its
        network is made.
      DataError: as `exported.Exported`.
    """
    self.exported = exported_lib.Exported(directory)
    self._parts = self.exported.network["parts"]
    self._seed = seed
    self._embed: _Padded | None = None

  @property
  def description(self) -> str:
    """The network's class."""
    return f"{self.exported.network_name}, random weights"

  @property
  def sample_rate_hz(self) -> int:
    """Of the export's front end."""
    return self.exported.front_end.sample_rate_hz

  @property
  def fingerprint(self) -> dict[str, Any]:
    """Of architecture, seed, precision and front end, of any such export."""
    network = {
      name: {"class": part["class"], "config": part["config"]}
      for name, part in self._parts.items()
    }
    return {
      "kind": "untrained",
      "network": network,
      "seed": self._seed,
      "precision": tf_keras.mixed_precision.global_policy().name,
      "front_end": self.exported.front_end.to_json(),
    }

  def __call__(self, waveforms: Sequence[Array]) -> list[Array]:
    """As `ClipSystem`."""
    if self._embed is None:
      self._embed = self._made()
    return _embedded(self._embed, waveforms)

  def _made(self) -> _Padded:
    model = signatures.WaveformModel(
      self.exported.embedder("fresh", self._seed),
      front_end=self.exported.front_end,
    )

    def embed(
      waveform: tf.Tensor, num_samples: tf.Tensor
    ) -> dict[str, tf.Tensor]:
      return model.embed(waveform, tf.cast(num_samples, tf.int64))

    return tf.function(
      embed,
      input_signature=[
        tf.TensorSpec([None, None], tf.float32, name="waveform"),
        tf.TensorSpec([None], tf.int32, name="num_samples"),
      ],
    )


class AudioStatisticsSystem:
  """Means and deviations of MFCCs and log-mels: one row for a clip."""

  name_hint = "audio_statistics"
  description = "means and deviations of MFCCs and log-mels"

  def __init__(self, front_end: types.LogMelFrontEnd | None = None) -> None:
    """Makes the baseline on a front end's log-mels; None for the defaults."""
    self._front_end = front_end or types.LogMelFrontEnd()

  @property
  def sample_rate_hz(self) -> int:
    """Of the front end."""
    return self._front_end.sample_rate_hz

  @property
  def fingerprint(self) -> dict[str, Any]:
    """Of the statistics and the front end."""
    return {
      "kind": "audio_statistics",
      "num_mfcc": statistics.NUM_MFCC,
      "front_end": self._front_end.to_json(),
    }

  def __call__(self, waveforms: Sequence[Array]) -> list[Array]:
    """As `ClipSystem`; short clips are filled up as for the networks."""
    return [self._of(waveform)[np.newaxis] for waveform in waveforms]

  def _of(self, waveform: Array) -> Array:
    rows = log_mel.log_mel(waveform, self._front_end)
    return statistics.statistics(windows.pad_to_window(rows, self._front_end))


def _embedded(embed: _Padded, waveforms: Sequence[Array]) -> list[Array]:
  """Runs `embed_padded` on one batch and takes its rows apart."""
  if not waveforms:
    return []
  lengths = np.array([len(waveform) for waveform in waveforms], np.int32)
  padded = np.zeros((len(waveforms), int(lengths.max())), np.float32)
  for row, waveform in enumerate(waveforms):
    padded[row, : len(waveform)] = waveform
  outputs = embed(
    waveform=tf.constant(padded), num_samples=tf.constant(lengths)
  )
  embeddings = outputs["window_embeddings"].numpy()
  counts = outputs["num_windows"].numpy()
  return [rows[:count] for rows, count in zip(embeddings, counts, strict=True)]
