import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.mining import clusters


def _blobs(num_blobs=3, size=20, dim=8):
  rng = np.random.default_rng(0)
  directions = np.eye(dim)[:num_blobs]
  rows = np.repeat(directions, size, axis=0)
  rows = rows + 0.05 * rng.standard_normal(rows.shape)
  return (rows * rng.uniform(0.1, 9.0, (len(rows), 1))).astype(np.float32)


def _found(vectors, **changes):
  arguments = {"num_clusters": 3, "fit_rows": range(len(vectors)), "seed": 0}
  return clusters.clusters(vectors, **(arguments | changes))


def test_directions_are_clustered_whatever_their_norms():
  found = _found(_blobs())
  assert found.dtype == np.int32
  assert [len(set(found[i : i + 20])) for i in (0, 20, 40)] == [1, 1, 1]
  assert set(found) == {0, 1, 2}


def test_a_second_call_gives_the_same_clusters():
  vectors = np.random.default_rng(1).standard_normal((300, 16))
  vectors = vectors.astype(np.float32)
  assert (_found(vectors) == _found(vectors)).all()


def test_recordings_without_a_vertex_have_no_cluster():
  vectors = _blobs()
  vectors[[3, 30]] = 0.0
  found = _found(vectors)
  assert np.flatnonzero(found == -1).tolist() == [3, 30]


def test_rows_that_were_not_fitted_get_the_nearest_cluster():
  vectors = _blobs()
  fitted = np.setdiff1d(np.arange(60), [5, 25, 45])
  found = _found(vectors, fit_rows=fitted)
  assert (found[[5, 25, 45]] == found[[6, 26, 46]]).all()


def test_above_a_size_faiss_finds_the_same_clusters():
  vectors = np.tile(_blobs(size=50), (3, 1))
  small = _found(vectors)
  large = _found(vectors, options=clusters.ClusterOptions(faiss_above=10))
  pairs = set(zip(small.tolist(), large.tolist(), strict=True))
  assert len(pairs) == 3
  again = _found(vectors, options=clusters.ClusterOptions(faiss_above=10))
  assert (large == again).all()


def test_more_clusters_than_vertices_are_refused():
  vectors = _blobs()
  vectors[10:] = 0.0
  with pytest.raises(errors.ConfigError, match="= 11: only 10 training"):
    _found(vectors, num_clusters=11)


def test_a_cluster_of_one_recording_is_named():
  vectors = _blobs(num_blobs=2)
  vectors = np.concatenate([vectors, np.eye(8, dtype=np.float32)[7:]])
  with pytest.raises(errors.ConfigError, match="= 3: cluster . holds one rec"):
    _found(vectors)


def test_a_graph_without_vertices_is_refused():
  with pytest.raises(errors.DataError, match="no training recording has a ver"):
    _found(np.zeros((5, 8), np.float32))
