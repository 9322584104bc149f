"""Spark's factorisation beside implicit's: the same graph, the same ranking.

Needs Java; see `_require_spark` for what happens without it.
"""

import os
import pathlib
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data import engines
from music_embed.data.engines import spark
from music_embed.data.mining import factorize, fold_in, graph
from music_embed.evaluation import link_prediction

_ALONE = 300


def _communities() -> graph.Graph:
  """Six communities of fifty, some noise, and a vertex without neighbours."""
  rng = np.random.default_rng(0)
  group = np.arange(_ALONE) // 50
  likely = np.where(group[:, None] == group[None], 0.25, 0.02)
  pairs = np.argwhere(np.triu(rng.random((_ALONE, _ALONE)) < likely, k=1))
  ones = np.ones(len(pairs))
  return graph.Graph.from_edges(_ALONE + 1, pairs[:, 0], pairs[:, 1], ones)


@pytest.fixture(scope="module")
def cluster() -> Iterator[engines.base.Engine]:
  try:
    spark.require()
  except errors.ConfigError as error:
    if os.environ.get("CI"):
      pytest.fail(f"CI must run the Spark tests: {error}")
    warnings.warn(f"NOT TESTED: Spark ({error})", stacklevel=1)
    pytest.skip(str(error))
  with engines.create("spark", spark_master="local[2]") as made:
    yield made


def test_spark_ranks_pairs_as_well_as_implicit_does(
  cluster: engines.base.Engine, tmp_path: pathlib.Path
) -> None:
  edges = _communities()
  pool = link_prediction.graph_pairs(edges.pairs(), edges.num_vertices)
  folder = tmp_path / "factors"
  settings = {"num_factors": 8, "iterations": 8, "seed": 3}
  vectors = factorize.on(cluster, str(folder))(edges, **settings)
  ours = factorize.factorize(edges, **settings)

  assert vectors.dtype == np.float32
  assert vectors.shape == ours.shape
  assert not vectors[_ALONE].any()
  found = link_prediction.measure(pool, vectors)
  expected = link_prediction.measure(pool, ours)
  # implicit solves its equations in a few steps of conjugate gradients only.
  assert found.ap > expected.ap - 0.03
  assert found.auc > expected.auc - 0.03
  assert expected.ap > 2 * pool.prevalence
  assert not folder.exists()


def test_a_part_of_a_graph_is_factorised_without_the_rest(
  cluster: engines.base.Engine, tmp_path: pathlib.Path
) -> None:
  part = _communities().restrict(range(100))
  run = factorize.on(cluster, str(tmp_path / "factors"))
  vectors = run(part, num_factors=4, iterations=3, seed=0)
  assert vectors[:100].any(axis=1).all()
  assert not vectors[100:].any()


def test_its_other_side_folds_vertices_in(
  cluster: engines.base.Engine, tmp_path: pathlib.Path
) -> None:
  edges = _communities()
  known = range(250)
  run = factorize.sides_on(cluster, str(tmp_path / "factors"), say=None)
  sides = run(edges.restrict(known), num_factors=8, iterations=8, seed=0)
  vertices = np.arange(_ALONE + 1)
  vectors = fold_in.fold_in(edges, vertices, sides.other, known=known)
  assert not vectors[_ALONE].any()
  assert vectors[known.stop : _ALONE].any(axis=1).all()
  fitted = sides.vectors[known.start : known.stop]
  again = vectors[known.start : known.stop]
  norms = np.linalg.norm(fitted, axis=1) * np.linalg.norm(again, axis=1)
  assert (np.einsum("vf,vf->v", fitted, again) / norms).min() > 0.99


def test_confidence_must_tell_edges_from_missing_ones(
  cluster: engines.base.Engine, tmp_path: pathlib.Path
) -> None:
  with pytest.raises(errors.ConfigError, match="alpha=1"):
    factorize.on(cluster, str(tmp_path))(_communities(), alpha=1.0, seed=0)


def test_a_graph_without_edges_gives_zeros(
  cluster: engines.base.Engine, tmp_path: pathlib.Path
) -> None:
  nothing = _communities().restrict(range(0))
  vectors = factorize.on(cluster, str(tmp_path))(nothing, num_factors=4, seed=0)
  assert vectors.shape == (_ALONE + 1, 4)
  assert not vectors.any()


def test_the_local_engine_takes_implicit(tmp_path: pathlib.Path) -> None:
  with engines.create("local") as local:
    assert factorize.on(local, str(tmp_path)) is factorize.factorize
