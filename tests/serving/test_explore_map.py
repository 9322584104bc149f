"""The map of an index is made once, and again when it is another."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny_indexes

from music_embed.retrieval import build
from music_embed.retrieval import index as index_lib
from music_embed.serving import catalogue_map, layout


def _same(
  one: catalogue_map.CatalogueMap, other: catalogue_map.CatalogueMap
) -> bool:
  return (
    one.kind == other.kind
    and one.points.tobytes() == other.points.tobytes()
    and one.legend.labels == other.legend.labels
    and one.legend.classes.tobytes() == other.legend.classes.tobytes()
  )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
  """Grows whenever a layout is really made."""
  made: list[int] = []
  really = layout.lay_out

  def lay_out(*arguments, **options):
    made.append(1)
    return really(*arguments, **options)

  monkeypatch.setattr(layout, "lay_out", lay_out)
  return made


def test_a_map_is_made_once(tmp_path, counted):
  index = tiny_indexes.make(tmp_path)
  first = catalogue_map.of_index(index, "pca")
  assert first.stored
  assert first.points.shape == (60, 2)
  again = catalogue_map.of_index(index_lib.Index.open(str(tmp_path)), "pca")
  assert _same(first, again)
  assert len(counted) == 1
  expected = layout.lay_out(index.vectors, index.nearest, "pca")
  np.testing.assert_array_equal(first.points, expected)


def test_a_grown_index_has_a_new_map(tmp_path, counted):
  catalogue_map.of_index(tiny_indexes.make(tmp_path), "pca")
  more = tiny_indexes.source(tiny_indexes.recordings(7, seed=9, first=60))
  build.build(str(tmp_path), more, mode="add")
  grown = index_lib.Index.open(str(tmp_path))
  assert catalogue_map.of_index(grown, "pca").points.shape == (67, 2)
  assert len(counted) == 2


def test_the_same_recordings_elsewhere_take_the_map_along(tmp_path, counted):
  catalogue_map.of_index(tiny_indexes.make(tmp_path / "a"), "pca")
  shutil.copytree(tmp_path / "a", tmp_path / "b")
  catalogue_map.of_index(index_lib.Index.open(str(tmp_path / "b")), "pca")
  assert len(counted) == 1


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_map_is_made_again(tmp_path, counted, damage):
  index = tiny_indexes.make(tmp_path)
  first = catalogue_map.of_index(index, "pca")
  path = tmp_path / "explore-pca.npz"
  whole = path.read_bytes()
  cut = {"cut": whole[: len(whole) // 2], "garbage": b"x" * 99, "empty": b""}
  path.write_bytes(cut[damage])
  assert _same(first, catalogue_map.of_index(index, "pca"))
  assert len(counted) == 2
  assert path.read_bytes() == whole


_UNPRIVILEGED = """
import os, sys
from music_embed.retrieval import index as index_lib
from music_embed.serving import catalogue_map
index = index_lib.Index.open(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
print(catalogue_map.of_index(index, "pca").stored)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to drop privileges")
def test_a_folder_that_takes_no_files_has_a_map_all_the_same(tmp_path):
  tiny_indexes.make(tmp_path / "index")
  done = subprocess.run(
    [sys.executable, "-c", _UNPRIVILEGED, str(tmp_path / "index")],
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.stdout.strip() == "False", done.stderr
  assert not list((tmp_path / "index").glob("explore*"))
