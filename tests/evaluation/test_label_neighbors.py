"""Tests of nearest labels by cosine."""

import numpy as np
import pytest

from music_embed.evaluation import label_neighbors


def _slow(queries, kernel, top_k):
  """Every cosine, one by one, sorted."""
  rows = []
  for query in queries:
    cosines = [
      float(query @ row / np.linalg.norm(query) / np.linalg.norm(row))
      for row in kernel
    ]
    order = sorted(range(len(kernel)), key=lambda i: (-cosines[i], i))[:top_k]
    rows.append((order, [cosines[i] for i in order]))
  return rows


@pytest.mark.parametrize("rows_per_block", [3, 7, 1_000])
def test_blocks_give_what_sorting_every_cosine_gives(
  rows_per_block, monkeypatch
):
  monkeypatch.setattr(label_neighbors, "_ROWS_PER_BLOCK", rows_per_block)
  random = np.random.default_rng(0)
  queries = random.standard_normal((4, 5))
  kernel = random.standard_normal((23, 5)) * random.random((23, 1)) * 9
  found = label_neighbors.nearest(queries, kernel, top_k=6)
  for place, (order, cosines) in enumerate(_slow(queries, kernel, 6)):
    assert found.labels[place].tolist() == order
    np.testing.assert_allclose(found.cosines[place], cosines, atol=1e-6)


def test_the_length_of_a_row_does_not_matter():
  kernel = np.array([[100.0, 100.0], [0.001, 0.0], [0.0, 5.0]])
  found = label_neighbors.nearest(np.array([[2.0, 0.0]]), kernel, top_k=3)
  assert found.labels.tolist() == [[1, 0, 2]]
  np.testing.assert_allclose(found.cosines[0], [1.0, 0.5**0.5, 0.0])


def test_labels_that_are_left_out_are_not_found():
  kernel = np.eye(4)
  found = label_neighbors.nearest(
    np.array([[3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0]]),
    kernel,
    top_k=4,
    left_out=[np.array([0, 2]), np.array([], np.int64)],
  )
  assert found.labels.tolist() == [[1, 3, -1, -1], [0, 1, 2, 3]]


def test_equal_cosines_come_in_the_order_of_ids():
  kernel = np.ones((5, 2))
  found = label_neighbors.nearest(np.ones((1, 2)), kernel, top_k=5)
  assert found.labels.tolist() == [[0, 1, 2, 3, 4]]


def test_a_term_counts_once_by_its_nearest_sense():
  kernel = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 1.0]])
  terms = np.array([0, 1, 1, 2])
  found = label_neighbors.nearest_terms(
    np.array([[0.0, 1.0]]),
    kernel,
    terms,
    top_k=3,
    left_out=[np.array([0])],
  )
  assert found.labels.tolist() == [[1, 2, -1]]
  np.testing.assert_allclose(found.cosines[0][:2], [1.0, 0.5**0.5])


def test_a_row_of_zeros_is_near_nothing():
  found = label_neighbors.nearest(
    np.array([[1.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 1.0]]), top_k=2
  )
  assert found.labels.tolist() == [[1, 0]]
  assert np.isfinite(found.cosines).all()
