"""Indexes: built, opened, added to, killed, damaged."""

import os
import pathlib

import numpy as np
import pytest
import tiny_indexes

from music_embed.retrieval import build, entries, finder_build
from music_embed.retrieval import index as index_lib


def _files(folder: pathlib.Path) -> dict[str, bytes]:
  return {
    name: (folder / name).read_bytes()
    for name in sorted(os.listdir(folder))
    if name != ".lock"
  }


def test_an_index_gives_back_what_was_put_in(tmp_path: pathlib.Path) -> None:
  given = tiny_indexes.recordings(60)
  index = tiny_indexes.make(tmp_path)
  assert (index.size, index.dim, index.kind) == (60, 8, "flat")
  assert (index.fingerprint, index.model) == ("f" * 64, "/models/tiny")
  norms = np.linalg.norm(index.vectors, axis=1)
  np.testing.assert_allclose(norms, 1, rtol=1e-6)
  np.testing.assert_allclose(index.vectors * 0.9, given.vectors, rtol=1e-5)
  known = index.catalogue
  assert list(known.ids) == given.ids
  assert known.titles[-1] == "Title 59"
  assert known.artists[4:6] == given.artists[4:6]
  assert known.audio[7] == "/music/7.mp3"
  assert known.durations_s[3] == 33.0
  assert known.labels(5) == [("piano", 0.5), ("drums", 0.25)]
  assert known.row_of("r17") == 17
  assert known.row_of("r170") is None
  assert known.rows_of_artist(4).tolist() == [3, 4, 5]
  assert index.label_names is not None
  assert list(index.label_names.labels) == list(tiny_indexes.LABELS)
  np.testing.assert_array_equal(
    index.label_vectors, tiny_indexes.words().vectors
  )


def test_artists_who_are_not_known_are_nobody(tmp_path: pathlib.Path) -> None:
  bare = entries.Entries.bare(["a", "b"], tiny_indexes.vectors(2))
  build.build(str(tmp_path), tiny_indexes.source(bare, with_words=False))
  index = index_lib.Index.open(str(tmp_path))
  assert index.catalogue.rows_of_artist(0).tolist() == [0]
  assert index.label_names is None
  assert index.label_vectors is None
  assert index.catalogue.labels(1) == []


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_the_nearest_are_those_of_a_sort(
  tmp_path: pathlib.Path, kind: finder_build.WantedKind
) -> None:
  index = tiny_indexes.make(tmp_path, 500, kind=kind)
  queries = tiny_indexes.vectors(20, seed=9)
  left = [3, 3, 11, 400]
  scores, rows = index.nearest(queries, 5, leave_out=left)
  unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
  cosines = unit @ index.vectors.T
  cosines[:, left] = -2
  wanted = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
  found = (
    np.mean([len(set(a) & set(b)) for a, b in zip(rows, wanted, strict=True)])
    / 5
  )
  assert found == 1 if kind == "flat" else found > 0.9
  np.testing.assert_allclose(
    scores, np.take_along_axis(cosines, rows, axis=1), atol=1e-6
  )
  assert (np.diff(scores, axis=1) <= 0).all()


def test_an_approximate_index_says_what_it_finds(
  tmp_path: pathlib.Path,
) -> None:
  finder = tiny_indexes.make(tmp_path, 2000, kind="ivf").card.finder
  assert 1 <= finder["breadth"] <= finder["lists"]
  assert finder["trained_on"] == finder["tuned_on"] == 2000
  assert set(finder["recall_at_10"]) == {"recordings", "words"}
  assert min(finder["recall_at_10"].values()) >= 0.995


def test_fewer_than_asked_for_are_marked(tmp_path: pathlib.Path) -> None:
  index = tiny_indexes.make(tmp_path, 4)
  scores, rows = index.nearest(index.vectors[:1], 10, leave_out=[0, 1])
  assert rows.shape == (1, 4)
  assert sorted(rows[0, :2].tolist()) == [2, 3]
  assert rows[0, 2:].tolist() == [-1, -1]
  assert np.isneginf(scores[0, 2:]).all()


@pytest.mark.parametrize(
  "queries", [np.zeros(8), np.zeros((2, 7)), np.full((1, 8), np.nan)]
)
def test_queries_of_another_shape_are_refused(
  tmp_path: pathlib.Path, queries: np.ndarray
) -> None:
  with pytest.raises(ValueError, match="queries"):
    tiny_indexes.make(tmp_path, 4).nearest(queries, 1)


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_the_same_recordings_give_the_same_bytes(
  tmp_path: pathlib.Path, kind: finder_build.WantedKind
) -> None:
  tiny_indexes.make(tmp_path / "a", 1500, kind=kind)
  tiny_indexes.make(tmp_path / "b", 1500, kind=kind)
  assert _files(tmp_path / "a") == _files(tmp_path / "b")
