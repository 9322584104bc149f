"""Files for TensorBoard's projector, read as its plugin reads them."""

import pathlib

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_config_pb2

from music_embed.retrieval import projector


def _read(folder: pathlib.Path):
  config = text_format.Parse(
    (folder / "projector_config.pbtxt").read_text(),
    projector_config_pb2.ProjectorConfig(),
  )
  (embedding,) = config.embeddings
  vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t", ndmin=2)
  table = (folder / embedding.metadata_path).read_text(encoding="utf-8")
  lines = table.splitlines()
  return vectors, [line.split("\t") for line in lines]


def test_vectors_and_columns_are_written_row_by_row(tmp_path):
  vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
  columns = {"id": ["a", "b", "c"], "title": ["Épée", "", "two\tcells\nin one"]}
  kept = projector.write(str(tmp_path), vectors, columns, name="catalogue")
  assert kept == 3
  read, table = _read(tmp_path)
  np.testing.assert_allclose(read, vectors, rtol=1e-5)
  assert table[0] == ["id", "title"]
  assert table[1:] == [["a", "Épée"], ["b", " "], ["c", "two cells in one"]]


def test_of_too_many_recordings_an_even_spread_is_kept(tmp_path):
  vectors = np.arange(10, dtype=np.float32)[:, None]
  names = [str(number) for number in range(10)]
  columns = {"id": names, "title": names}
  assert projector.write(str(tmp_path), vectors, columns, most=5) == 5
  read, table = _read(tmp_path)
  assert read[:, 0].tolist() == [0, 2, 4, 6, 8]
  assert [row[0] for row in table[1:]] == ["0", "2", "4", "6", "8"]


def test_no_recordings_leave_files_without_rows(tmp_path):
  columns = {"id": [], "title": []}
  assert projector.write(str(tmp_path), np.zeros((0, 2)), columns) == 0
  assert (tmp_path / "validation_vectors.tsv").read_text() == ""
  assert (tmp_path / "validation_recordings.tsv").read_text() == "id\ttitle\n"
