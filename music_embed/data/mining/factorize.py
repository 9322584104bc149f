"""Weighted matrix factorisation of the co-listen graph."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse
import threadpoolctl

from music_embed.data.engines import base, spark
from music_embed.data.mining import graph as graph_lib
from music_embed.data.mining import spark_als


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


def factorize(
  graph: graph_lib.Graph,
  *,
  num_factors: int = 64,
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int,
) -> npt.NDArray[Any]:
  """Implicit-feedback ALS (Hu et al. 2008) on the unweighted adjacency.

  Args:
    graph: the graph; counts are ignored.
    num_factors: dimensions of a vector.
    iterations: rounds of alternating least squares.
    regularization: l2 penalty of the factors.
    alpha: confidence of an edge; that of a missing one is 1.
    seed: of the initial factors.

  Returns:
    float32 [vertices, num_factors]; zero for vertices without neighbours.
    The same arguments give the same numbers: one thread does all the work.
    Of the two sides these are the vectors that are solved first in a round:
    the adjacency is symmetric, but the sides are not, and with many factors
    those solved last tell recordings apart much worse (on the demo's graph
    with 64 factors, link AP .40 against .70).
  """
  import implicit.als  # Slow to import, and of no use to ingestion.

  shape = (graph.num_vertices, graph.num_vertices)
  indptr, indices, _ = graph.csr()
  ones = np.ones(len(indices), np.float32)
  adjacency = scipy.sparse.csr_matrix((ones, indices, indptr), shape=shape)
  with threadpoolctl.threadpool_limits(1, "blas"):
    model = implicit.als.AlternatingLeastSquares(
      factors=num_factors,
      regularization=regularization,
      alpha=alpha,
      iterations=iterations,
      dtype=np.float32,
      num_threads=1,
      random_state=seed,
      use_gpu=False,
    )
    model.fit(adjacency, show_progress=False)
  vectors = np.asarray(model.user_factors, np.float32).copy()
  vectors[graph.degrees == 0] = 0.0
  return vectors
