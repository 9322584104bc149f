"""Clusters of recordings by their factors: what splits labels into senses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import threadpoolctl

from music_embed.core import errors

_BLOCK_ROWS = 1 << 18
_FEWEST = 2


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
  """How recordings are clustered.

  Attributes:
    normalize: whether vectors are l2-normalised first. A factor vector's norm
      says how popular a recording is, its direction by whom.
    faiss_above: with more vectors to fit on than this, faiss clusters them
      (on a sample of 256 a cluster) in place of scikit-learn's
      MiniBatchKMeans.
    num_starts: random starts, the best of whose results is kept. One alone
      often ends in a poor one: on the demo's graph with 12 clusters, 5 % more
      squared distance, and two genres in one cluster.
    iterations: passes over the vectors, at most.
  """

  normalize: bool = True
  faiss_above: int = 100_000
  num_starts: int = 10
  iterations: int = 100

  def __post_init__(self) -> None:
    for name in ("num_starts", "iterations"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"ClusterOptions.{name} must be at least 1")


def clusters(
  vectors: npt.NDArray[Any],
  *,
  num_clusters: int,
  fit_rows: npt.NDArray[Any] | range,
  seed: int,
  options: ClusterOptions | None = None,
) -> npt.NDArray[Any]:
  """K-means on factors, fitted on some rows and assigned to all.

  Args:
    vectors: float32 [recordings, factors]; zeros where there is no vertex.
    num_clusters: k.
    fit_rows: rows that centres are fitted to (the training part), int [rows].
    seed: of the starts.
    options: how; the defaults where None.

  Returns:
    int32 [recordings], -1 where there is no vertex. The same arguments give
    the same clusters: one thread does all the work.

  Raises:
    ConfigError: k is below 2 or above the number of vertices to fit on, or a
      cluster holds one of them or none.
    DataError: there are no vertices to fit on.
  """
  options = options or ClusterOptions()
  has_vertex = np.zeros(len(vectors), bool)
  for start in range(0, len(vectors), _BLOCK_ROWS):
    block = slice(start, start + _BLOCK_ROWS)
    has_vertex[block] = np.asarray(vectors[block]).any(axis=1)
  rows = np.asarray(fit_rows, np.int64)
  rows = rows[has_vertex[rows]]
  _check(num_clusters, len(rows))
  fitted = _prepared(vectors[rows], options)
  found = np.full(len(vectors), -1, np.int32)
  kmeans = _Faiss if len(rows) > options.faiss_above else _MiniBatch
  model = kmeans(fitted, num_clusters, seed, options)
  vertices = np.flatnonzero(has_vertex)
  for start in range(0, len(vertices), _BLOCK_ROWS):
    block_rows = vertices[start : start + _BLOCK_ROWS]
    found[block_rows] = model.nearest(_prepared(vectors[block_rows], options))
  _check_sizes(np.bincount(found[rows], minlength=num_clusters))
  return found


def _prepared(
  vectors: npt.NDArray[Any], options: ClusterOptions
) -> npt.NDArray[Any]:
  rows = np.ascontiguousarray(vectors, np.float32)
  if not options.normalize:
    return rows
  return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class _MiniBatch:
  """scikit-learn's mini-batch k-means (Sculley 2010)."""

  def __init__(
    self,
    rows: npt.NDArray[Any],
    num_clusters: int,
    seed: int,
    options: ClusterOptions,
  ) -> None:
    import sklearn.cluster  # Slow to import.

    # Its own n_init compares starts, not what comes of them.
    models = [
      sklearn.cluster.MiniBatchKMeans(
        num_clusters,
        batch_size=max(4096, 4 * num_clusters),
        n_init=3,
        max_iter=options.iterations,
        reassignment_ratio=0.0,
        random_state=state,
      )
      for state in range(seed, seed + options.num_starts)
    ]
    with threadpoolctl.threadpool_limits(1):
      for model in models:
        model.fit(rows)
    self._model = min(models, key=lambda model: float(model.inertia_))

  def nearest(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    with threadpoolctl.threadpool_limits(1):
      return self._model.predict(rows)


class _Faiss:
  """faiss's k-means (Johnson et al. 2017), on a sample."""

  def __init__(
    self,
    rows: npt.NDArray[Any],
    num_clusters: int,
    seed: int,
    options: ClusterOptions,
  ) -> None:
    import faiss  # Slow to import.

    self._model = faiss.Kmeans(
      rows.shape[1],
      num_clusters,
      niter=min(options.iterations, 25),
      nredo=options.num_starts,
      seed=seed,
      verbose=False,
      # Of 200 clear groups random starts found .87, these .99.
      init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
    )
    with threadpoolctl.threadpool_limits(1):
      self._model.train(rows)

  def nearest(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    with threadpoolctl.threadpool_limits(1):
      return self._model.index.search(rows, 1)[1][:, 0]


def _check(num_clusters: int, num_vertices: int) -> None:
  if not num_vertices:
    raise errors.DataError(
      "no training recording has a vertex in the graph, so that there is"
      " nothing to cluster: prepare the dataset with a listening log of more"
      " listeners, or with a smaller tau"
    )
  if num_clusters < _FEWEST:
    raise errors.ConfigError(
      f"num_clusters = {num_clusters}: take at least {_FEWEST}"
    )
  if num_clusters > num_vertices:
    raise errors.ConfigError(
      f"num_clusters = {num_clusters}: only {num_vertices} training recordings"
      " have a vertex in the graph; take fewer clusters"
    )


def _check_sizes(sizes: npt.NDArray[Any]) -> None:
  smallest = int(np.argmin(sizes))
  if sizes[smallest] >= _FEWEST:
    return
  held = "one recording only" if sizes[smallest] else "no recording"
  raise errors.ConfigError(
    f"num_clusters = {len(sizes)}: cluster {smallest} holds {held} of the"
    f" training part; take fewer clusters, or another seed"
  )
