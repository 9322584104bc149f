"""Matrix factorisation of the co-listen graph on a Spark cluster."""

from __future__ import annotations

import glob
import os
import pathlib
import shutil
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from music_embed.core import errors, files
from music_embed.data.engines import spark
from music_embed.data.mining import graph as graph_lib

_ENTRIES_PER_FILE = 1 << 22
_FEWEST_BLOCKS = 4
_FIRST, _LAST = "first", "last"
"""Folders of the sides of a factorisation, as a round solves them."""


def factorize(
  graph: graph_lib.Graph,
  *,
  engine: spark.SparkEngine,
  folder: str,
  num_factors: int = 64,
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int,
) -> npt.NDArray[Any]:
  """Implicit-feedback ALS (Hu et al. 2008) by Spark: `factorize.factorize`.

  Spark's parameters mean something else, and are derived from ours:

  - `rank` is `num_factors`, `maxIter` is `iterations`;
  - its `alpha` is what an edge adds to the confidence of a missing one, so
    `alpha - 1`;
  - its `regParam` is multiplied by a vertex's degree (Zhou et al. 2008), so
    `regularization` over the mean degree: the same penalty on average, less
    of it on vertices of few neighbours.

  Of the two sides of the factorisation these are, as `factorize.factorize`'s,
  the vectors that are solved first in a round.

  Only the graph's entries are written and only the factors read here: what
  ALS needs beyond that is the executors' memory and disk.

  Args:
    graph: the graph; counts are ignored.
    engine: the cluster.
    folder: for files between here and the executors, the same on all hosts;
      made, and removed at the end.
    num_factors: dimensions of a vector.
    iterations: rounds of alternating least squares.
    regularization: l2 penalty of the factors, on average.
    alpha: confidence of an edge, above 1; that of a missing one is 1.
    seed: of the initial factors.

  Returns:
    float32 [vertices, num_factors]; zero for vertices without neighbours.
    Equal up to rounding for equal arguments: the order of Spark's sums is
    that in which blocks arrive.

  Raises:
    ConfigError: `alpha` is too small.
    MusicEmbedError: Spark gave up.
  """
  return sides(
    graph,
    engine=engine,
    folder=folder,
    num_factors=num_factors,
    iterations=iterations,
    regularization=regularization,
    alpha=alpha,
    seed=seed,
  )[0]


def sides(
  graph: graph_lib.Graph,
  *,
  engine: spark.SparkEngine,
  folder: str,
  num_factors: int = 64,
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
  """Like `factorize`, and the side that is solved last in a round.

  Returns:
    What `factorize` returns, and as much of the other side.

  Raises:
    ConfigError: as `factorize`.
    MusicEmbedError: as `factorize`.
  """
  if alpha <= 1.0:
    raise errors.ConfigError(
      f"alpha={alpha:g}: Spark needs edges to weigh more than missing ones,"
      " so more than 1"
    )
  first, last = np.zeros((2, graph.num_vertices, num_factors), np.float32)
  degrees = graph.degrees
  num_entries = int(degrees.sum())
  if not num_entries:
    return first, last
  mean_degree = num_entries / np.count_nonzero(degrees)
  folder = os.path.abspath(folder)
  shutil.rmtree(folder, ignore_errors=True)
  try:
    _write_entries(graph, os.path.join(folder, "entries"))
    _run(
      engine.context,
      folder,
      {
        "rank": num_factors,
        "maxIter": iterations,
        "regParam": regularization / mean_degree,
        "alpha": alpha - 1.0,
        "seed": seed,
      },
      num_blocks=max(_FEWEST_BLOCKS, num_entries // _ENTRIES_PER_FILE),
    )
    _read_factors(os.path.join(folder, _FIRST), first)
    _read_factors(os.path.join(folder, _LAST), last)
  finally:
    shutil.rmtree(folder, ignore_errors=True)
  return first, last


def _run(
  context: Any, folder: str, parameters: dict[str, Any], *, num_blocks: int
) -> None:
  from pyspark import sql
  from pyspark.ml import recommendation
  from pyspark.sql import functions

  url = pathlib.Path(folder).as_uri()
  try:
    context.setCheckpointDir(f"{url}/checkpoints")
    session = sql.SparkSession(context)
    entries = session.read.parquet(f"{url}/entries")
    als = recommendation.ALS(
      implicitPrefs=True,
      userCol="vertex",
      itemCol="neighbor",
      ratingCol="rating",
      numUserBlocks=num_blocks,
      numItemBlocks=num_blocks,
      **parameters,
    )
    model = als.fit(entries.withColumn("rating", functions.lit(1.0)))
    model.itemFactors.write.parquet(f"{url}/{_FIRST}")
    model.userFactors.write.parquet(f"{url}/{_LAST}")
  except Exception as error:
    raise errors.MusicEmbedError(
      f"matrix factorisation: Spark gave up ({spark.first_line(error)})"
    ) from error


def _write_entries(graph: graph_lib.Graph, folder: str) -> None:
  """Writes (vertex, neighbour) pairs, files of some million each."""
  files.make_dirs(folder)
  ends = np.cumsum(graph.degrees)
  cuts = np.arange(_ENTRIES_PER_FILE, ends[-1], _ENTRIES_PER_FILE)
  bounds = [0, *np.searchsorted(ends, cuts).tolist(), graph.num_vertices]
  for number, start in enumerate(bounds[:-1]):
    rows = slice(start, bounds[number + 1])
    part = graph_lib.Graph(
      graph.starts[rows], graph.ends[rows], graph.indices, graph.counts
    )
    _, neighbors, _ = part.csr()
    table = {
      "vertex": (part.rows() + start).astype(np.int32),
      "neighbor": np.asarray(neighbors, np.int32),
    }
    path = os.path.join(folder, f"part-{number:05d}.parquet")
    pq.write_table(pa.table(table), path)


def _read_factors(folder: str, vectors: npt.NDArray[Any]) -> None:
  for path in glob.glob(os.path.join(glob.escape(folder), "*.parquet")):
    with pq.ParquetFile(path) as file:
      for batch in file.iter_batches():
        ids = batch.column("id").to_numpy(zero_copy_only=False)
        values = batch.column("features").flatten()
        vectors[ids] = values.to_numpy().reshape(len(ids), -1)
