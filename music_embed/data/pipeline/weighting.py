"""How often each recording is drawn, where not all alike."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.data.records import prepared


class Weighting(Protocol):
  """Gives each recording a probability of its own."""

  def __call__(
    self, dataset: prepared.PreparedDataset, recordings: range
  ) -> npt.NDArray[Any]:
    """Positive weights, proportional to the probabilities: [recordings]."""

  def describe(self) -> dict[str, Any]:
    """Everything that decides the weights, as JSON values."""


class LabelFrequency:
  """Recordings of rare labels more often (Mahajan et al. 2018, section 2.2).

  A recording's weight is the largest of `count ** -power` over its labels,
  with the number of training texts that hold a label as its count. Without
  any label it weighs as if it had the most frequent one: least.
  """

  def __init__(self, *, power: float = 0.5) -> None:
    """Configures the weights.

    Args:
      power: 0 draws uniformly, 0.5 is the paper's square-root sampling, 1
        evens labels out.

    Raises:
      ConfigError: it is out of range.
    """
    if not 0.0 <= power <= 1.0:
      raise errors.ConfigError("LabelFrequency.power must lie in [0, 1]")
    self._power = power

  def __call__(
    self, dataset: prepared.PreparedDataset, recordings: range
  ) -> npt.NDArray[Any]:
    """The weights: float64 [recordings]."""
    counts = dataset.label_counts
    if not len(counts):
      return np.ones(len(recordings))
    by_label = np.maximum(counts, 1).astype(np.float64) ** -self._power
    indptr, indices = dataset.labels_csr
    inside = slice(recordings.start, recordings.stop + 1)
    ends = np.asarray(indptr[inside])
    # Ids are sorted, and labels by falling frequency: the last is the rarest.
    rarest = indices[np.maximum(ends[1:] - 1, 0)] if len(indices) else 0
    return by_label[np.where(np.diff(ends) > 0, rarest, 0)]

  def describe(self) -> dict[str, Any]:
    """See `Weighting`."""
    return {"kind": "label_frequency", "power": self._power}
