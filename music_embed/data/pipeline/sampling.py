"""Which recordings make up a batch: a pure function of seed and step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, seeds
from music_embed.data.mining import graph as graph_lib
from music_embed.data.pipeline import adjacency

_NUM_CANDIDATES = 4


class RecordingDraw:
  """Draws recordings, each with a probability of its own."""

  def __init__(
    self,
    recordings: npt.NDArray[Any],
    weights: npt.NDArray[Any] | None = None,
  ) -> None:
    """Prepares to draw.

    Args:
      recordings: indices that may be drawn, [n], at least one.
      weights: positive, proportional to the probabilities, [n]; None draws
        uniformly.
    """
    self._recordings = recordings
    self._ends = None if weights is None else np.cumsum(weights, dtype="f8")

  def __call__(self, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Recordings from uniform draws in [0, 1): int64 of the same shape."""
    if self._ends is None:
      places = _pick(draws, len(self._recordings))
    else:
      values = draws * self._ends[-1]
      places = np.searchsorted(self._ends, values, side="right")
      # A product may round up to the total.
      places = np.minimum(places, len(self._recordings) - 1)
    return self._recordings[places].astype(np.int64)


class TripletSampler:
  """Draws (anchor, positive, negative) recordings from a co-listen graph.

  The anchor is drawn from the recordings with neighbours, the positive is a
  neighbour of it, the negative a neighbour of the positive that is neither
  the anchor nor a neighbour of it (Huang et al. 2020, section 3.1), or, for
  a share of the triplets and where there is none, any recording that is
  neither.
  """

  def __init__(
    self,
    graph: graph_lib.Graph,
    recordings: range,
    *,
    batch_triplets: int,
    random_negative_share: float,
    seed: int,
    anchor_weights: npt.NDArray[Any] | None = None,
  ) -> None:
    """Prepares to sample; reads the rows' ends, no entry of the graph.

    Args:
      graph: over global indices; all its edges lie within `recordings`.
      recordings: those that may be drawn.
      batch_triplets: triplets of the global batch.
      random_negative_share: probability of a negative drawn from all
        recordings instead of the positive's neighbours.
      seed: of the run.
      anchor_weights: positive weight of each of `recordings` as an anchor,
        [recordings]; None draws anchors uniformly.

    Raises:
      DataError: no recording can be an anchor.
    """
    self._adjacency = adjacency.Adjacency(graph)
    self._recordings = recordings
    inside = slice(recordings.start, recordings.stop)
    degrees = graph.ends[inside] - graph.starts[inside]
    # An anchor that is adjacent to all others has no negative at all.
    usable = (degrees > 0) & (degrees < len(recordings) - 1)
    places = np.flatnonzero(usable)
    if not places.size:
      raise errors.DataError(
        "no training recording has both neighbours and non-neighbours in the"
        " co-listen graph: no triplet can be drawn (is tau too high for this"
        " listening log?)"
      )
    self._anchors = RecordingDraw(
      (places + recordings.start).astype(np.int32),
      None if anchor_weights is None else anchor_weights[places],
    )
    self._batch_triplets = batch_triplets
    self._random_negative_share = random_negative_share
    self._seed = seed

  def triplets(self, step: int) -> npt.NDArray[np.int64]:
    """The recordings of a batch.

    Args:
      step: position of the batch in the run, from 0.

    Returns:
      int64 [batch_triplets, 3]: anchor, positive, negative.
    """
    rng = seeds.generator(self._seed, "triplets", step)
    draws = rng.random((5 + _NUM_CANDIDATES, self._batch_triplets))
    anchors = self._anchors(draws[0])
    positives = self._neighbor(anchors, draws[1])
    candidates = self._neighbor(positives[:, None], draws[5:].T)
    allowed = ~self._adjacency.is_blocked(anchors[:, None], candidates)
    first = allowed.argmax(axis=1)
    negatives = candidates[np.arange(len(first)), first]
    anywhere = draws[2] < self._random_negative_share
    for row in np.flatnonzero(~allowed.any(axis=1) & ~anywhere):
      rest = self._adjacency.second_neighbors(anchors[row], positives[row])
      if rest.size:
        negatives[row] = rest[_pick(draws[3, row], rest.size)]
      else:
        anywhere[row] = True
    if anywhere.any():
      negatives[anywhere] = self._stranger(
        anchors[anywhere], draws[4, anywhere]
      )
    return np.stack([anchors, positives, negatives], axis=1)

  def negative_allowed(
    self, triplets: npt.NDArray[np.int64], rows: slice = slice(None)
  ) -> npt.NDArray[np.bool_]:
    """Whether the negative of triplet j may serve anchor i.

    Args:
      triplets: int64 [triplets, 3].
      rows: anchors i that are asked for.

    Returns:
      bool [rows, triplets]; true where i is j.
    """
    return self._adjacency.allowed(triplets[rows, 0], triplets[:, 2])

  def _neighbor(
    self, vertices: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]
  ) -> npt.NDArray[np.int64]:
    degrees = self._adjacency.degrees(vertices)
    return self._adjacency.entries(vertices, _pick(draws, degrees))

  def _stranger(
    self, anchors: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]
  ) -> npt.NDArray[np.int64]:
    """Uniform over the recordings that are neither anchor nor neighbour."""
    degrees = self._adjacency.degrees(anchors)
    ranks = _pick(draws, len(self._recordings) - degrees - 1)
    return self._adjacency.strangers(anchors, ranks, self._recordings.start)


def uniform_starts(
  num_rows: npt.NDArray[np.int64],
  window_rows: int,
  draws: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
  """First rows of windows, uniform within their recordings.

  Args:
    num_rows: rows of each recording, at least a window, [...].
    window_rows: rows of a window.
    draws: uniform in [0, 1), [...].

  Returns:
    int64 [...].
  """
  return _pick(draws, num_rows - window_rows + 1)


def _pick(
  draws: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.int64]:
  """Positions below `sizes` from draws in [0, 1)."""
  return (draws * sizes).astype(np.int64)
