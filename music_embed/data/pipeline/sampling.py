"""Which triplets make up a batch: a pure function of seed and step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, seeds
from music_embed.data.mining import graph as graph_lib

_NUM_CANDIDATES = 4


class TripletSampler:
  """Draws (anchor, positive, negative) recordings from a co-listen graph.

  The anchor is uniform over the recordings with neighbours, the positive a
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
  ) -> None:
    """Prepares to sample.

    Args:
      graph: over global indices; all its edges lie within `recordings`.
      recordings: those that may be drawn.
      batch_triplets: triplets of the global batch.
      random_negative_share: probability of a negative drawn from all
        recordings instead of the positive's neighbours.
      seed: of the run.

    Raises:
      DataError: no recording can be an anchor.
    """
    self._starts = graph.starts
    self._ends = graph.ends
    self._indices = graph.indices
    self._degrees = graph.degrees
    self._recordings = recordings
    # An anchor that is adjacent to all others has no negative at all.
    usable = (self._degrees > 0) & (self._degrees < len(recordings) - 1)
    self._anchors = np.flatnonzero(usable)
    if not self._anchors.size:
      raise errors.DataError(
        "no training recording has both neighbours and non-neighbours in the"
        " co-listen graph: no triplet can be drawn (is tau too high for this"
        " listening log?)"
      )
    self._halvings = int(self._degrees.max()).bit_length()
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
    anchors = self._anchors[_pick(draws[0], self._anchors.size)]
    positives = self._neighbor(anchors, draws[1])
    candidates = self._neighbor(positives[:, None], draws[5:].T)
    allowed = ~self.is_blocked(anchors[:, None], candidates)
    first = allowed.argmax(axis=1)
    negatives = candidates[np.arange(len(first)), first]
    anywhere = draws[2] < self._random_negative_share
    for row in np.flatnonzero(~allowed.any(axis=1) & ~anywhere):
      rest = self._second_neighbors(anchors[row], positives[row])
      if rest.size:
        negatives[row] = rest[_pick(draws[3, row], rest.size)]
      else:
        anywhere[row] = True
    if anywhere.any():
      negatives[anywhere] = self._stranger(
        anchors[anywhere], draws[4, anywhere]
      )
    return np.stack([anchors, positives, negatives], axis=1)

  def is_blocked(
    self, anchors: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
  ) -> npt.NDArray[np.bool_]:
    """Whether each of `others` is the anchor itself or adjacent to it.

    Args:
      anchors: indices, broadcast against `others`.
      others: indices.

    Returns:
      bool of the broadcast shape.
    """
    end = self._ends[anchors]
    place = self._bisect(anchors, others)
    found = self._indices[np.minimum(place, end - 1)] == others
    return ((place < end) & found) | (anchors == others)

  def negative_allowed(
    self, triplets: npt.NDArray[np.int64]
  ) -> npt.NDArray[np.bool_]:
    """Whether the negative of triplet j may serve anchor i.

    Args:
      triplets: int64 [triplets, 3].

    Returns:
      bool [triplets, triplets], entry (i, j); true on the diagonal.
    """
    negatives, where = np.unique(triplets[:, 2], return_inverse=True)
    anchors = triplets[:, 0]
    degrees = self._degrees[anchors]
    rows = np.repeat(np.arange(len(anchors)), degrees)
    within = np.arange(len(rows)) - np.repeat(
      np.cumsum(degrees) - degrees, degrees
    )
    neighbors = self._indices[
      np.repeat(self._starts[anchors], degrees) + within
    ]
    allowed = anchors[:, None] != negatives
    place = np.minimum(
      np.searchsorted(negatives, neighbors), len(negatives) - 1
    )
    hit = negatives[place] == neighbors
    allowed[rows[hit], place[hit]] = False
    return allowed[:, where.reshape(-1)]

  def _neighbor(
    self, vertices: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]
  ) -> npt.NDArray[np.int64]:
    place = self._starts[vertices] + _pick(draws, self._degrees[vertices])
    return self._indices[place].astype(np.int64)

  def _bisect(
    self, vertices: npt.NDArray[np.int64], values: npt.NDArray[np.int64]
  ) -> npt.NDArray[np.int64]:
    """First place in the vertices' rows whose neighbour is >= the value."""
    return graph_lib.bisect(
      self._indices, self._starts[vertices], self._ends[vertices], values
    )

  def _second_neighbors(
    self, anchor: np.int64, positive: np.int64
  ) -> npt.NDArray[np.int32]:
    row = self._indices[self._starts[anchor] : self._ends[anchor]]
    around = self._indices[self._starts[positive] : self._ends[positive]]
    rest = np.setdiff1d(around, row, assume_unique=True)
    return rest[rest != anchor]

  def _stranger(
    self, anchors: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]
  ) -> npt.NDArray[np.int64]:
    """Uniform over the recordings that are neither anchor nor neighbour.

    The k-th number that is missing from a sorted row is k plus the number of
    entries that precede it, which bisection finds: entry e at place m has
    e - m missing numbers before it.
    """
    start, degrees = self._starts[anchors], self._degrees[anchors]
    offset = self._recordings.start
    own_place = self._bisect(anchors, anchors) - start
    own_rank = anchors - offset - own_place
    rank = _pick(draws, len(self._recordings) - degrees - 1)
    rank += rank >= own_rank
    low, high = np.zeros_like(degrees), degrees.copy()
    last = len(self._indices) - 1
    for _ in range(self._halvings):
      middle = (low + high) >> 1
      entry = self._indices[np.minimum(start + middle, last)] - offset
      before = (low < high) & (entry - middle <= rank)
      low, high = (
        np.where(before, middle + 1, low),
        np.where(before, high, middle),
      )
    return rank + low + offset


def uniform_starts(
  num_frames: npt.NDArray[np.int64],
  window_frames: int,
  draws: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
  """First frames of windows, uniform within their recordings.

  Args:
    num_frames: frames of each recording, at least a window, [...].
    window_frames: frames of a window.
    draws: uniform in [0, 1), [...].

  Returns:
    int64 [...].
  """
  return _pick(draws, num_frames - window_frames + 1)


def _pick(
  draws: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.int64]:
  """Positions below `sizes` from draws in [0, 1)."""
  return (draws * sizes).astype(np.int64)
