import gzip
import importlib.util
import pathlib
import sys

import numpy as np
import pytest

from music_embed.data.corpora import synthetic

_TOOL = pathlib.Path(__file__).parents[2] / "tools" / "check_corpus.py"


@pytest.fixture(scope="module")
def check_corpus():
  spec = importlib.util.spec_from_file_location("check_corpus", _TOOL)
  module = importlib.util.module_from_spec(spec)
  sys.modules["check_corpus"] = module  # Dataclasses look their module up.
  spec.loader.exec_module(module)
  return module


def _corpus(check_corpus, telling: float):
  """Forty recordings of four genres, linked within their genre."""
  rng = np.random.default_rng(0)
  genres = np.repeat(np.arange(4), 30)
  links = genres[:, None] == genres
  np.fill_diagonal(links, False)
  features = telling * np.eye(4)[genres] + rng.normal(0, 1.0, (120, 4))
  return check_corpus.Corpus(features.astype(np.float32), links, genres)


def test_links_need_tau_common_listeners(check_corpus, tmp_path):
  log = tmp_path / "log.csv.gz"
  rows = [
    ("u1", "a", 9), ("u1", "b", 1), ("u1", "c", 1),
    ("u2", "a", 1), ("u2", "b", 1),
    ("u3", "b", 2), ("u3", "c", 1),
    ("u4", "c", 5), ("u4", "d", 5),
  ]  # fmt: skip
  text = "".join(f"{user},{name},{count}\n" for user, name, count in rows)
  log.write_bytes(gzip.compress(f"user_id,recording_id,count\n{text}".encode()))
  order = {"a": 0, "b": 1, "c": 2, "d": 3}
  links = check_corpus._links(log, order, 2)
  # Common listeners: ab 2 (u1, u2), bc 2 (u1, u3), ac 1 (u1), cd 1 (u4).
  expected = np.zeros((4, 4), bool)
  expected[[0, 1, 1, 2], [1, 0, 2, 1]] = True
  np.testing.assert_array_equal(links, expected)


def test_features_that_tell_the_genre_are_reported_as_too_easy(check_corpus):
  report = check_corpus.measure(_corpus(check_corpus, telling=30.0))
  assert report["genre_oracle"] == {"ap": 1.0, "auc": 1.0}
  assert report["audio_statistics"]["auc"] > 0.99
  assert "audio statistics exceed .70 AUC" in check_corpus.faults(report)


def test_features_that_tell_nothing_are_at_chance(check_corpus):
  report = check_corpus.measure(_corpus(check_corpus, telling=0.0))
  assert abs(report["audio_statistics"]["auc"] - 0.5) < 0.1
  assert report["wmf"]["auc"] > 0.99
  assert report["mean_degree"] == 29.0
  assert report["without_links"] == 0


def test_a_corpus_on_disk_can_be_measured(check_corpus, tmp_path):
  config = synthetic.tiny_config(clip_s=1.0)
  synthetic.write_corpus(str(tmp_path), config=config, num_workers=1)
  corpus = check_corpus.read_corpus(str(tmp_path), tau=3, num_workers=1)
  assert corpus.features.shape == (23, 2 * 20 + 2 * 64)  # One is mostly talk.
  assert set(corpus.genres) == {0, 1, 2, 3}
  same_genre = corpus.genres[:, None] == corpus.genres
  # Listeners follow genres, so links do.
  assert corpus.links[same_genre].mean() > corpus.links[~same_genre].mean()
