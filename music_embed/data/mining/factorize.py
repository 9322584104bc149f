"""Weighted matrix factorisation of the co-listen graph."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse
import threadpoolctl

from music_embed.data.engines import base, spark
from music_embed.data.mining import graph as graph_lib
from music_embed.data.mining import spark_als

_ROWS_AT_ONCE = 1 << 16
_SECONDS_BETWEEN_LINES = 5.0

Say = Callable[[str], None]
"""Takes a line of progress."""


class Factorizer(Protocol):
  """`factorize`, or what gives the same vectors elsewhere."""

  def __call__(
    self,
    graph: graph_lib.Graph,
    *,
    num_factors: int = ...,
    iterations: int = ...,
    regularization: float = ...,
    alpha: float = ...,
    seed: int,
  ) -> npt.NDArray[Any]:
    """See `factorize`."""


@dataclasses.dataclass(frozen=True)
class Sides:
  """Both sides of a factorisation, zero for vertices without neighbours.

  The adjacency is symmetric, but its sides are not: with many factors those
  solved last in a round tell recordings apart much worse (on the demo's
  graph with 64 factors, link AP .40 against .70).

  Attributes:
    vectors: float32 [vertices, num_factors], solved first: those to use.
    other: float32 [vertices, num_factors], solved last: what new vertices
      are folded in by (`fold_in`).
  """

  vectors: npt.NDArray[Any]
  other: npt.NDArray[Any]


def on(engine: base.Engine, folder: str) -> Factorizer:
  """The factorisation that an engine offers.

  Args:
    engine: Spark's engine runs Spark's ALS; else this process does the work.
    folder: for Spark's files; the same on all hosts.

  Returns:
    `factorize`, or `spark_als.factorize` on this engine.
  """
  if isinstance(engine, spark.SparkEngine):
    return functools.partial(spark_als.factorize, engine=engine, folder=folder)
  return factorize


def sides_on(
  engine: base.Engine, folder: str, *, num_threads: int = 1, say: Say | None
) -> Callable[..., Sides]:
  """Like `on`, for both sides.

  Args:
    engine: as `on`.
    folder: as `on`.
    num_threads: of this process, where it does the work.
    say: told how far this process is.

  Returns:
    `sides`, or the same by Spark; takes the arguments of a `Factorizer`.
  """
  if not isinstance(engine, spark.SparkEngine):
    return functools.partial(sides, num_threads=num_threads, say=say)

  def by_spark(graph: graph_lib.Graph, **settings: Any) -> Sides:
    return Sides(
      *spark_als.sides(graph, engine=engine, folder=folder, **settings)
    )

  return by_spark


def factorize(
  graph: graph_lib.Graph,
  *,
  num_factors: int = 64,
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int,
) -> npt.NDArray[Any]:
  """The vectors of `sides`: float32 [vertices, num_factors]."""
  return sides(
    graph,
    num_factors=num_factors,
    iterations=iterations,
    regularization=regularization,
    alpha=alpha,
    seed=seed,
  ).vectors


def sides(
  graph: graph_lib.Graph,
  *,
  num_factors: int = 64,
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int,
  num_threads: int = 1,
  say: Say | None = None,
) -> Sides:
  """Implicit-feedback ALS (Hu et al. 2008) on the unweighted adjacency.

  Args:
    graph: the graph; counts are ignored.
    num_factors: dimensions of a vector.
    iterations: rounds of alternating least squares.
    regularization: l2 penalty of the factors.
    alpha: confidence of an edge; that of a missing one is 1.
    seed: of the initial factors.
    num_threads: each solves other rows, so that their number has no
      influence on the result.
    say: told every few seconds how many rounds are done.

  Returns:
    Both sides; the same arguments give the same numbers.
  """
  import implicit.als  # Slow to import, and of no use to ingestion.

  told = None if say is None else _Progress(iterations, say)
  with threadpoolctl.threadpool_limits(1, "blas"):
    model = implicit.als.AlternatingLeastSquares(
      factors=num_factors,
      regularization=regularization,
      alpha=1.0,  # The matrix holds it: implicit would copy all for it.
      iterations=iterations,
      dtype=np.float32,
      num_threads=num_threads,
      random_state=seed,
      use_gpu=False,
    )
    model.fit(confidences(graph, alpha), show_progress=False, callback=told)
  alone = graph.degrees == 0
  model.user_factors[alone] = 0.0
  model.item_factors[alone] = 0.0
  return Sides(model.user_factors, model.item_factors)


def memory_bytes(num_vertices: int, num_entries: int, num_factors: int) -> int:
  """What `sides` needs at its peak, above the mapped graph.

  `20 e + 8 n f + 17 n` bytes for e entries (two an edge), n vertices and f
  factors: the confidences and their transpose (int32 and float32 an entry
  each), a copy of one's values, both sides, and the bounds of rows. From
  2^31 entries on, indices are int64: `28 e`. The paper's 10.5 M recordings
  with 250 neighbours and 64 factors need 79 GB.

  Args:
    num_vertices: all, with and without edges.
    num_entries: twice the number of edges.
    num_factors: dimensions of a vector.
  """
  index_bytes = _index_dtype(num_entries).itemsize
  entry = 2 * (index_bytes + 4) + 4
  vertex = 2 * 4 * num_factors + 2 * index_bytes + 8 + 1
  return entry * num_entries + vertex * num_vertices


def confidences(graph: graph_lib.Graph, alpha: float) -> Any:
  """The adjacency with `alpha` for every edge, as `implicit` wants it.

  Returns:
    A float32 csr_matrix [vertices, vertices].
  """
  num_entries = int(graph.degrees.sum())
  dtype = _index_dtype(num_entries)
  indptr = np.zeros(graph.num_vertices + 1, dtype)
  np.cumsum(graph.degrees, out=indptr[1:])
  indices = np.empty(num_entries, dtype)
  for start in range(0, graph.num_vertices, _ROWS_AT_ONCE):
    rows = slice(start, min(start + _ROWS_AT_ONCE, graph.num_vertices))
    part = graph_lib.Graph(
      graph.starts[rows], graph.ends[rows], graph.indices, graph.counts
    )
    indices[indptr[rows.start] : indptr[rows.stop]] = part.csr()[1]
  values = np.full(num_entries, alpha, np.float32)
  shape = (graph.num_vertices, graph.num_vertices)
  return scipy.sparse.csr_matrix((values, indices, indptr), shape=shape)


def _index_dtype(num_entries: int) -> np.dtype[Any]:
  """Of indices and bounds alike: implicit takes no mixture."""
  fits = num_entries <= np.iinfo(np.int32).max
  return np.dtype(np.int32 if fits else np.int64)


class _Progress:
  """Called by implicit after each round."""

  def __init__(self, iterations: int, say: Say) -> None:
    self._iterations = iterations
    self._say = say
    self._began = self._said = time.monotonic()

  def __call__(self, iteration: int, elapsed_s: float, loss: Any) -> None:
    del loss
    now = time.monotonic()
    if now - self._said < _SECONDS_BETWEEN_LINES:
      return
    self._said = now
    done = iteration + 1
    left_s = (now - self._began) / done * (self._iterations - done)
    self._say(
      f"  round {done} of {self._iterations}, {elapsed_s:.1f} s a round,"
      f" {left_s:.0f} s left"
    )
