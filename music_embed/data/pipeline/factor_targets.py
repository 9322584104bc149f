"""Batches of windows with the factorisation vectors of their recordings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files, keys, types
from music_embed.data.mining import factors as factors_lib
from music_embed.data.pipeline import recording_windows, weighting
from music_embed.data.records import prepared


class FactorTargetSource(recording_windows.RecordingWindowSource):
  """Batches for the CF regression, from training recordings with a vertex.

  Targets are CF_VECTOR float32 [windows, num_factors]: vectors that
  `launch/factorize.py` made from the *training* graph. Recordings that the
  graph does not know have none and are left out.
  """

  kind = "factor_targets"

  def __init__(
    self,
    *,
    batch_windows: int,
    factors: str,
    unit_scale: bool = True,
    recording_weighting: weighting.Weighting | None = None,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source.

    Args:
      batch_windows: windows of the global batch.
      factors: directory that `launch/factorize.py` wrote.
      unit_scale: whether all vectors are multiplied by one number (see
        `scale_of`), after which their mean squared norm is 1: losses, and
        the weights of losses in a sum, then mean the same whatever the
        factorisation's own scale. Cosines don't notice.
      recording_weighting: how often each recording is drawn; None draws
        uniformly from those that have a vertex.
      num_parallel_calls: batches made at once.
      prefetch_batches: batches held ready.

    Raises:
      ConfigError: a value is out of range.
    """
    super().__init__(
      batch_windows=batch_windows,
      recording_weighting=recording_weighting,
      num_parallel_calls=num_parallel_calls,
      prefetch_batches=prefetch_batches,
    )
    self.factors = factors
    self._unit_scale = unit_scale

  def describe(self) -> dict[str, Any]:
    """See `StepSource`; the factors are told by their SHA-256."""
    path = files.join(self.factors, factors_lib.FILE_NAME)
    found = files.read_json(path) if files.exists(path) else {}
    return {
      **super().describe(),
      "factors": found.get("files", {}).get(factors_lib.VECTORS),
      "unit_scale": self._unit_scale,
    }

  def _targets(
    self, dataset: prepared.PreparedDataset
  ) -> tuple[npt.NDArray[np.int64], recording_windows.Targets]:
    factors = factors_lib.load(self.factors, dataset.fingerprint)
    if factors.metadata["graph"] != types.SPLITS[0]:
      raise errors.ConfigError(
        f"{self.factors}: factors of the whole graph, which has the evaluation"
        " part's edges, are no targets for training; factorise the training"
        ' graph (factorize.factorize.graph = "train")'
      )
    train = dataset.split_range(types.SPLITS[0])
    known = train.start + np.flatnonzero(
      factors.has_vertex[train.start : train.stop]
    )
    if not known.size:
      raise errors.DataError(
        f"{self.factors}: no training recording has a vertex in the graph"
      )
    vectors = factors.vectors
    scale = np.float32(scale_of(vectors, known) if self._unit_scale else 1.0)
    return known, recording_windows.Targets(
      keys.CF_VECTOR,
      vectors.shape[1:],
      np.dtype(np.float32),
      lambda recordings: vectors[recordings] * scale,
    )


_BLOCK = 1 << 16


def scale_of(vectors: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> float:
  """What makes the mean squared norm of some vectors 1.

  Args:
    vectors: [recordings, num_factors], may be memory-mapped.
    rows: int64 [n], at least one; not all of their vectors are zero.
  """
  total = 0.0
  for first in range(0, len(rows), _BLOCK):
    block = np.asarray(vectors[rows[first : first + _BLOCK]], np.float64)
    total += float(np.square(block).sum())
  return math.sqrt(len(rows) / total)
