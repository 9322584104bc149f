"""Places on the map: near what sounds alike, the same each time."""

import numpy as np
import pytest
from sklearn import decomposition

from music_embed.core import errors
from music_embed.serving import layout, layout_worker


def _clusters(size, centers=6, dim=16, seed=0):
  """Unit vectors around centres, and the centre of each."""
  rng = np.random.default_rng(seed)
  middles = rng.normal(size=(centers, dim))
  owner = rng.integers(0, centers, size)
  vectors = middles[owner] + 0.3 * rng.normal(size=(size, dim))
  vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
  return vectors.astype(np.float32), owner


def _nearest(vectors):
  """Exact neighbours by sorting all cosines."""

  def nearest(queries, k):
    cosines = queries @ vectors.T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, rows, 1), rows

  return nearest


def _purity(points, owner):
  """Share of each point's five nearest on the map that are of its cluster."""
  far = ((points[:, None] - points[None]) ** 2).sum(-1)
  np.fill_diagonal(far, np.inf)
  near = np.argsort(far, axis=1)[:, :5]
  return (owner[near] == owner[:, None]).mean()


def _is_framed(points):
  assert points.dtype == np.float32
  assert np.abs(points).max() == 1
  spread = points.astype(np.float64).T @ (points - points.mean(0))
  assert spread[0, 0] >= spread[1, 1]


def test_principal_components_are_those_of_scikit_learn():
  vectors, _ = _clusters(200)
  expected = decomposition.PCA(2, svd_solver="full").fit_transform(vectors)
  expected *= np.where((expected**3).sum(0) < 0, -1, 1)
  np.testing.assert_allclose(layout.principal(vectors), expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_recordings_have_places_too(size):
  vectors, _ = _clusters(size)
  points = layout.lay_out(vectors, _nearest(vectors), "pca")
  assert points.shape == (size, 2)
  assert np.isfinite(points).all()
  assert np.abs(points).max() == (1 if size > 1 else 0)


def test_a_frame_turns_and_scales_without_distortion():
  rng = np.random.default_rng(3)
  flat = rng.normal(size=(50, 2)) * [1, 5]
  points = layout.framed(flat.astype(np.float32))
  _is_framed(points)

  def distances(places):
    return np.linalg.norm(places[:, None] - places[None], axis=-1)

  ratio = distances(points)[0, 1:] / distances(flat)[0, 1:]
  np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_umap_keeps_clusters_together_and_repeats_to_the_last_bit():
  vectors, owner = _clusters(120)
  vectors[:5], owner[:5] = vectors[0], owner[0]  # The same sound five times.
  first = layout.lay_out(vectors, _nearest(vectors), "umap")
  _is_framed(first)
  assert _purity(first, owner) > 0.9
  again = layout.lay_out(vectors, _nearest(vectors), "umap")
  assert first.tobytes() == again.tobytes()


def test_of_many_recordings_landmarks_carry_the_others():
  vectors, owner = _clusters(400)
  options = layout.Options(most_umap=100, landmarks=80)
  points = layout.lay_out(vectors, _nearest(vectors), "umap", options)
  _is_framed(points)
  assert len(np.unique(points, axis=0)) > 350
  assert _purity(points, owner) > 0.9


def test_where_all_lie_in_one_place_umap_begins_apart():
  random = np.random.RandomState(0)
  points = layout_worker.jittered(np.zeros((40, 2), np.float32), random)
  assert len(np.unique(points, axis=0)) == 40
  assert np.abs(points).max() < 1e-3


def test_a_recording_is_the_first_of_its_own_neighbourhood():
  vectors, _ = _clusters(30)
  vectors[7] = vectors[3]  # The same sound twice: which comes first is luck.
  rows, distances = layout.neighbourhoods(vectors, _nearest(vectors), 6)
  assert rows[:, 0].tolist() == list(range(30))
  assert (distances[:, 0] == 0).all()
  assert rows[7, 1] == 3
  assert rows[3, 1] == 7
  cosines = vectors @ vectors.T
  np.fill_diagonal(cosines, np.inf)
  for row in range(30):
    expected = np.sort(1 - cosines[row])[1:6]
    np.testing.assert_allclose(distances[row, 1:], expected, atol=1e-6)
    assert len(set(rows[row])) == 6


def test_neighbours_that_were_not_found_are_left_open():
  vectors, _ = _clusters(8)

  def only_one(queries, k):
    scores, rows = _nearest(vectors)(queries, k)
    rows[:, 2:], scores[:, 2:] = -1, -np.inf
    return scores, rows

  rows, distances = layout.neighbourhoods(vectors, only_one, 5)
  assert (rows[:, 2:] == -1).all()
  assert np.isfinite(distances).all()

  def not_itself(queries, k):
    scores, rows = _nearest(vectors)(queries, k + 1)
    return scores[:, 1:], rows[:, 1:]

  rows, distances = layout.neighbourhoods(vectors, not_itself, 3)
  expected, near = _nearest(vectors)(vectors, 3)
  np.testing.assert_array_equal(rows, near)
  np.testing.assert_allclose(distances[:, 1:], 1 - expected[:, 1:], atol=1e-6)


def test_a_wish_for_a_layout_is_checked():
  assert layout.chosen("auto", 1000) == "umap"
  assert layout.chosen("umap", 1000) == "umap"
  assert layout.chosen("pca", 1000) == "pca"
  assert layout.chosen("auto", 5) == "pca"
  with pytest.raises(errors.ConfigError, match="--layout=tsne: must be"):
    layout.chosen("tsne", 1000)


def test_a_dead_layout_process_is_one_line(tmp_path, monkeypatch):
  vectors, _ = _clusters(40)
  (tmp_path / "umap.py").write_text("raise SystemExit('broken on purpose')")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  with pytest.raises(errors.MusicEmbedError, match="died .*--layout=pca"):
    layout.lay_out(vectors, _nearest(vectors), "umap")
