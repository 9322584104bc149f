"""The map as files: the page's data, and where sounds are."""

import base64
import json
import pathlib

import numpy as np
import pytest
import tiny_catalogues
import tiny_indexes
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_config_pb2

from music_embed.core import errors
from music_embed.serving import (
  catalogue_map,
  explore,
  explorer,
  page_files,
  static_page,
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> tiny_catalogues.Catalogue:
  return tiny_catalogues.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def explored(catalogue) -> explorer.Explorer:
  made = catalogue_map.of_index(catalogue.index, "pca")
  return explorer.Explorer(catalogue.index, made)


def _data(folder: pathlib.Path):
  text = (folder / "data.js").read_text(encoding="utf-8")
  start = "window.MUSIC_EMBED_DATA = "
  assert text.startswith(start)
  assert text.endswith(";\n")
  return json.loads(text[len(start) : -2])


def _vectors(packed, dim):
  integers = np.frombuffer(base64.b64decode(packed["int8"]), np.int8)
  return integers.reshape(-1, dim) * packed["scale"]


def test_the_page_lies_beside_its_data(explored, tmp_path):
  static_page.write(explored, str(tmp_path / "page"))
  page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
  tag = '<script defer src="data.js"></script>'
  assert page.replace(tag, page_files.DATA_MARK) == page_files.index_html()
  # The data must be there when the page's own scripts run.
  assert page.index(tag) < page.index("assets/app")
  for name, path in page_files.assets().items():
    written = tmp_path / "page" / "assets" / name
    assert written.read_bytes() == path.read_bytes()


def test_the_data_are_the_servers_answers(explored, catalogue, tmp_path):
  static_page.write(explored, str(tmp_path))
  data = _data(tmp_path)
  assert data["catalogue"] == explored.catalogue(takes_sounds=False)
  assert base64.b64decode(data["points"]) == explored.points()
  told = explored.recordings(range(catalogue.index.size))
  for written, expected in zip(data["recordings"], told, strict=True):
    row = expected["row"]
    there = expected.pop("audio") is not None
    uri = catalogue.audio[row].as_uri()
    assert written.pop("audio") == (uri if there else None)
    assert written == expected
  vectors = _vectors(data["vectors"], tiny_indexes.DIM)
  assert np.abs(vectors - catalogue.index.vectors).max() < 0.005
  words = data["words"]
  assert words["names"] == list(tiny_indexes.LABELS)
  assert words["terms"][:3] == ["bebop", "bebop", "piano"]
  expected = tiny_indexes.words().vectors
  assert np.abs(_vectors(words, tiny_indexes.DIM) - expected).max() < 0.005


def test_of_many_words_the_most_frequent_come_along(
  explored, tmp_path, monkeypatch
):
  monkeypatch.setattr(static_page, "_MOST_WORDS", 3)
  static_page.write(explored, str(tmp_path))
  data = _data(tmp_path)
  assert data["words"]["names"] == ["0_bebop", "1_bebop", "piano"]
  words = data["catalogue"]["words"]
  assert words == ["bebop", "0_bebop", "1_bebop", "piano"]
  vectors = _vectors(data["words"], tiny_indexes.DIM)
  assert np.abs(vectors - tiny_indexes.words().vectors[:3]).max() < 0.005


def test_sounds_come_along_if_wished(explored, catalogue, tmp_path):
  static_page.write(explored, str(tmp_path), copy_audio=True)
  for recording in _data(tmp_path)["recordings"]:
    row = recording["row"]
    if row in (1, tiny_catalogues.GONE):
      assert recording["audio"] is None
      continue
    copied = tmp_path / recording["audio"]
    assert copied.read_bytes() == catalogue.audio[row].read_bytes()
  (tmp_path / "audio" / "000000.wav").write_bytes(b"damaged")
  times = {p: p.stat().st_ino for p in (tmp_path / "audio").iterdir()}
  static_page.write(explored, str(tmp_path), copy_audio=True)
  changed = [p.name for p, ino in times.items() if p.stat().st_ino != ino]
  assert changed == ["000000.wav"]
  whole = catalogue.audio[0].read_bytes()
  assert (tmp_path / "audio" / "000000.wav").read_bytes() == whole


def test_the_same_catalogue_is_written_to_the_last_byte(explored, tmp_path):
  for name in ("a", "b", "a"):  # The last one over the first.
    static_page.write(explored, str(tmp_path / name))
  written = {
    folder: {
      path.relative_to(tmp_path / folder): path.read_bytes()
      for path in (tmp_path / folder).rglob("*")
      if path.is_file()
    }
    for folder in ("a", "b")
  }
  assert written["a"] == written["b"]


def test_without_words_the_page_has_none(tmp_path):
  index = tiny_indexes.make(tmp_path / "index", with_words=False)
  made = catalogue_map.of_index(index, "pca")
  static_page.write(explorer.Explorer(index, made), str(tmp_path / "page"))
  data = _data(tmp_path / "page")
  assert data["words"] is None
  assert data["catalogue"]["has_words"] is False


def test_a_folder_with_something_else_is_left_alone(explored, tmp_path):
  (tmp_path / "thesis.txt").write_text("mine")
  with pytest.raises(errors.ConfigError, match="something else"):
    static_page.write(explored, str(tmp_path))
  with pytest.raises(errors.ConfigError, match="is a file"):
    static_page.write(explored, str(tmp_path / "thesis.txt"))
  assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_many_recordings_are_refused(explored, tmp_path, monkeypatch):
  monkeypatch.setattr(static_page, "MOST_RECORDINGS", 5)
  with pytest.raises(errors.ConfigError, match="12 recordings are too many"):
    static_page.write(explored, str(tmp_path / "page"))
  assert not (tmp_path / "page").exists()


def test_the_projector_gets_all_that_is_known(catalogue, tmp_path, capsys):
  folder = tmp_path / "projector"
  explore.explore(
    index=catalogue.index.folder, layout_kind="pca", projector=str(folder)
  )
  assert f"--logdir={folder}" in capsys.readouterr().out
  config = text_format.Parse(
    (folder / "projector_config.pbtxt").read_text(),
    projector_config_pb2.ProjectorConfig(),
  )
  (embedding,) = config.embeddings
  vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
  np.testing.assert_allclose(vectors, catalogue.index.vectors, atol=1e-5)
  lines = (folder / embedding.metadata_path).read_text(encoding="utf-8")
  header, *rows = [line.split("\t") for line in lines.splitlines()]
  assert header == ["id", "title", "artist", "class", "labels"]
  assert rows[7][:3] == ["nº 7.mp3", "Título 7", "Artist 3"]
  assert rows[7][4] == "piano, drums"
  assert len(rows) == 12
