"""The benchmark of the factorisation on a graph that takes seconds."""

import pathlib
import sys

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from tools.performance import factorization  # noqa: E402

_SIZE = factorization.Size(recordings=4_000, edges=40_000, folded_in=50)


def test_the_graph_has_as_many_edges_as_asked_and_is_symmetric() -> None:
  indptr, indices = factorization.draw(_SIZE)
  rows = np.repeat(np.arange(_SIZE.recordings), np.diff(indptr))
  assert len(indices) == 2 * _SIZE.edges
  entries = rows * _SIZE.recordings + indices
  assert (np.diff(entries) > 0).all()
  mirrored = np.sort(indices.astype(np.int64) * _SIZE.recordings + rows)
  np.testing.assert_array_equal(entries, mirrored)
  assert (rows != indices).all()


def test_every_figure_is_measured(tmp_path: pathlib.Path) -> None:
  found = {
    figure.name: figure
    for figure in factorization.figures(str(tmp_path), _SIZE)
  }
  assert all(np.isfinite(figure.value) for figure in found.values())
  assert found["factorization_cpu"].value > 0
  assert found["clusters_faiss_purity"].value > 0.05
  # 28 bytes for each of 2,625 M entries, 8 x 64 + 25 for each recording.
  assert found["paper_factorization_memory"].value == pytest.approx(
    (28 * 2_625e6 + 537 * 10.5e6) / 1e9
  )
