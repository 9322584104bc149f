"""Tests of music_embed.runs.neighbors on a run of the tiny catalogue."""

import pathlib

import numpy as np
import pytest
import tiny_runs

from music_embed.core import errors
from music_embed.data.records import prepared
from music_embed.models import inference
from music_embed.runs import (
  neighbors,
  neighbors_text,
  restore,
  validation,
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _train(gin_file, dataset, workdir, *params):
  return tiny_runs.run_gin(
    gin_file,
    dataset,
    workdir,
    "TRAIN_STEPS = 2",
    "loop.LoopOptions.validation_steps = 2",
    "validation.Validation.min_occurrences = 1",
    *params,
  )


@pytest.fixture(scope="module")
def label_run(tiny_dataset, tmp_path_factory):
  return _train(
    "gin/runs/demo_label_only.gin",
    tiny_dataset,
    str(tmp_path_factory.mktemp("runs") / "label"),
    "BATCH_WINDOWS = 4",
  )


@pytest.fixture(scope="module")
def data(tiny_dataset):
  return prepared.PreparedDataset(tiny_dataset)


@pytest.fixture(scope="module")
def embedder(label_run, data):
  return restore.load_embedder(label_run, data)


def _cosines(vector, kernel):
  lengths = np.linalg.norm(kernel, axis=1) * np.linalg.norm(vector)
  return kernel @ vector / lengths


def test_a_words_neighbors_are_the_labels_of_the_nearest_rows(
  label_run, data, embedder
):
  kernel = embedder.label_head.kernel.numpy()
  (answer,) = neighbors.neighbors(
    [data.vocabulary[3]], model=label_run, top_k=4
  )
  (entry,) = answer.entries
  cosines = _cosines(kernel[3], kernel)
  expected = [i for i in np.argsort(-cosines) if i != 3][:4]
  assert [n.label for n in entry.neighbors] == [
    data.vocabulary[i] for i in expected
  ]
  np.testing.assert_allclose(
    [n.cosine for n in entry.neighbors], cosines[expected], atol=1e-5
  )
  assert [n.recordings for n in entry.neighbors] == [
    data.label_counts[i] for i in expected
  ]
  assert entry.recordings == data.label_counts[3]


def test_a_recording_and_its_audio_file_are_near_the_same_labels(
  label_run, data, embedder, tiny_corpus
):
  index = 5
  recording_id = data.recording_ids[index]
  (path,) = pathlib.Path(tiny_corpus, "audio").glob(f"{recording_id}.*")
  by_id, by_file = neighbors.neighbors(
    [recording_id, str(path)], model=label_run, top_k=5
  )
  assert (by_id.kind, by_file.kind) == ("recording", "file")
  assert by_id.entries[0].neighbors == by_file.entries[0].neighbors
  run = validation.recording_embedder(embedder, data)
  assert isinstance(run, inference.RecordingEmbedder)
  vector = run(validation.all_windows(data, [index])).embeddings[0]
  cosines = _cosines(vector, embedder.label_head.kernel.numpy())
  assert by_id.entries[0].neighbors[0].cosine == pytest.approx(
    cosines.max(), abs=1e-5
  )


def test_several_queries_are_answered_in_order(label_run, data):
  asked = [data.vocabulary[1], data.recording_ids[0], data.vocabulary[0]]
  found = neighbors.neighbors(asked, model=label_run, top_k=2)
  assert [answer.query for answer in found] == asked
  assert [answer.kind for answer in found] == ["term", "recording", "term"]


def test_a_run_without_labels_says_so(tiny_dataset, tmp_path, data):
  workdir = _train(
    "gin/runs/demo_triplet.gin",
    tiny_dataset,
    str(tmp_path / "triplet"),
    "BATCH_TRIPLETS = 2",
  )
  with pytest.raises(errors.ConfigError, match="no label head"):
    neighbors.neighbors([data.vocabulary[0]], model=workdir)


@pytest.mark.parametrize(
  ("queries", "top_k", "culprit"),
  [([], 10, "nothing to look up"), (["a"], 0, "--top_k=0")],
)
def test_nothing_is_loaded_for_a_wrong_call(queries, top_k, culprit):
  with pytest.raises(errors.ConfigError, match=culprit):
    neighbors.neighbors(queries, model="nowhere", top_k=top_k)


def test_an_export_is_named_for_what_it_is(tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"")
  with pytest.raises(errors.ConfigError, match="exported model"):
    neighbors.neighbors(["a"], model=str(tmp_path))


def test_senses_stand_under_a_heading_and_own_senses_are_marked():
  near = neighbors.Neighbor("5_bebop", 0.5, 1_234, same_term=True)
  entries = [
    neighbors.Entry("bebop", None, 7, [near]),
    neighbors.Entry("46_bebop", 46, 40, []),
  ]
  drawn = neighbors_text.drawn(neighbors.Answer("bebop", "term", entries))
  assert drawn.splitlines() == [
    "bebop: 1 sense and a plain label",
    "",
    "bebop (7 recordings)  cosine  recordings",
    "--------------------  ------  ----------",
    "  5_bebop *             .500       1,234",
    "",
    "46_bebop (40 recordings)  cosine  recordings",
    "------------------------  ------  ----------",
  ]
