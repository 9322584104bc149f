"""Indexes of embeddings and of music, and the model behind them."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import soundfile
import tiny_exports

from music_embed.core import errors, types
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import search
from music_embed.serving import embed, index_job, search_job
from music_embed.serving import model as model_lib

_LABELS = ["bebop", "jazz", "hard bop"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Exports: `model`, `other` that says it is another, `plain` of no labels."""
  path = tmp_path_factory.mktemp("exports")
  front_end = types.LogMelFrontEnd()
  tiny_exports.export(path / "model", front_end, vocabulary=_LABELS)
  shutil.copytree(path / "model", path / "other")
  card = json.loads((path / "other" / "model.json").read_text())
  card["fingerprint"] = "e" * 64
  (path / "other" / "model.json").write_text(json.dumps(card))
  tiny_exports.export(path / "plain", front_end)
  return path


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("music")
  rng = np.random.default_rng(0)
  for number in range(4):
    tone = np.sin(np.arange(56_000) * 0.02 * (number + 1))
    sound = 0.3 * tone + 0.02 * rng.normal(size=56_000)
    soundfile.write(path / f"{number}.wav", sound, 16_000)
  return path


def _embed_job(
  model: pathlib.Path, audio: pathlib.Path, **settings: bool
) -> index_job.Embed:
  def job(output: str) -> None:
    embed.embed(
      model_directory=str(model),
      audio=[str(audio)],
      output=output,
      num_workers=1,
      npz=False,
      **settings,
    )

  return job


@pytest.fixture(scope="module")
def indexed(
  exports: pathlib.Path,
  music: pathlib.Path,
  tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
  """An index of the music."""
  path = tmp_path_factory.mktemp("indexed") / "index"
  index_job.index(
    output=str(path),
    model=str(exports / "model"),
    embed=_embed_job(exports / "model", music),
  )
  return path


def test_music_is_embedded_and_indexed_in_one_go(
  indexed: pathlib.Path, exports: pathlib.Path, music: pathlib.Path
) -> None:
  model = model_lib.Model(exports / "model")
  index = index_lib.Index.open(str(indexed))
  assert list(index.catalogue.ids) == [f"{n}.wav" for n in range(4)]
  assert list(index.catalogue.audio) == [
    str(music / f"{n}.wav") for n in range(4)
  ]
  assert index.fingerprint == model.fingerprint
  assert index.model == str(exports / "model")
  vectors = model.embed([str(music / f"{n}.wav") for n in range(4)])
  vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
  np.testing.assert_allclose(index.vectors, vectors, atol=1e-5)
  np.testing.assert_allclose(
    index.label_vectors, model.label_vectors(), atol=1e-6
  )
  assert {label for label, _ in index.catalogue.labels(0)} == set(_LABELS)


def test_a_word_and_a_sound_find_what_the_model_finds(
  indexed: pathlib.Path,
  exports: pathlib.Path,
  music: pathlib.Path,
  tmp_path: pathlib.Path,
) -> None:
  model = model_lib.Model(exports / "model")
  song = tmp_path / "copy.wav"
  shutil.copy(music / "2.wav", song)
  _, (word, sound) = search_job.search(["bebop", str(song)], index=str(indexed))
  names = [f"{n}.wav" for n in range(4)]
  cosines = model.similarity("bebop", [music / name for name in names])
  assert [hit.id for hit in word.hits] == [
    names[place] for place in np.argsort(-cosines)
  ]
  assert sound.hits[0].id == "2.wav"
  assert sound.hits[0].score == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
  ("model", "culprit"),
  [("other", "another model"), ("nowhere", "no exported model")],
)
def test_a_sound_is_embedded_by_the_model_of_the_index_alone(
  indexed: pathlib.Path,
  exports: pathlib.Path,
  music: pathlib.Path,
  model: str,
  culprit: str,
) -> None:
  with pytest.raises(errors.ConfigError, match=culprit):
    search_job.search(
      [str(music / "2.wav")], index=str(indexed), model=str(exports / model)
    )


def test_a_model_that_is_gone_is_asked_for(
  indexed: pathlib.Path, exports: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  moved = tmp_path / "moved"
  shutil.copytree(exports / "model", tmp_path / "model")
  song = tmp_path / "song.wav"
  soundfile.write(song, np.zeros(60_000), 16_000)
  index_job.index(
    output=str(tmp_path / "index"),
    model=str(tmp_path / "model"),
    embeddings=str(indexed / "embeddings"),
  )
  (tmp_path / "model").rename(moved)
  with pytest.raises(errors.ConfigError, match="no exported model"):
    search_job.search([str(song)], index=str(tmp_path / "index"))
  index, (answer,) = search_job.search(
    [str(song)], index=str(tmp_path / "index"), model=str(moved)
  )
  assert len(answer.hits) == index.size == 4
  _, (word,) = search_job.search(["jazz"], index=str(tmp_path / "index"))
  assert len(word.hits) == 4


def test_the_same_command_adds_what_is_new_and_keeps_what_is_gone(
  exports: pathlib.Path, music: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  mine = tmp_path / "music"
  shutil.copytree(music, mine)
  model = exports / "model"
  output = str(tmp_path / "index")

  def run(**settings: bool) -> index_job.build.Built:
    job = _embed_job(model, mine, **settings)
    return index_job.index(
      output=output, model=str(model), embed=job, **settings
    )

  run()
  again = run()
  assert not again.is_new
  assert "nothing new" in index_job.told(output, again)
  (mine / "0.wav").rename(mine / "9.wav")
  more = run()
  assert (more.written.added, more.written.same) == (1, 4)
  assert "5 recordings (1 added, 4 as before), 3 words" in index_job.told(
    output, more
  )
  run(prune=True)
  known = index_lib.Index.open(output).catalogue
  assert sorted(known.ids) == ["1.wav", "2.wav", "3.wav", "9.wav"]


def test_vectors_of_a_file_can_be_indexed_with_and_without_their_model(
  exports: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  vectors = np.random.default_rng(0).normal(size=(3, 2, 8))
  np.savez(tmp_path / "v.npz", ids=np.array([5, 7, 9]), vectors=vectors)
  output = str(tmp_path / "bare")
  built = index_job.index(output=output, embeddings=str(tmp_path / "v.npz"))
  assert "no words: name the model" in index_job.told(output, built)
  index = index_lib.Index.open(output)
  assert list(index.catalogue.ids) == ["5", "7", "9"]
  unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
  mean = unit.mean(axis=1)
  mean /= np.linalg.norm(mean, axis=1, keepdims=True)
  np.testing.assert_allclose(index.vectors, mean, atol=1e-6)
  with pytest.raises(errors.ConfigError, match="--model"):
    search.Searcher(index, search_job.sound_embedder(index, None)).search(
      __file__
    )
  output = str(tmp_path / "named")
  built = index_job.index(
    output=output,
    embeddings=str(tmp_path / "v.npz"),
    model=str(exports / "model"),
  )
  assert built.card.num_labels == 3
  plain = str(tmp_path / "plain")
  built = index_job.index(
    output=plain,
    embeddings=str(tmp_path / "v.npz"),
    model=str(exports / "plain"),
  )
  assert "no words, since the model has none" in index_job.told(plain, built)


def test_embeddings_of_another_model_are_refused(
  indexed: pathlib.Path, exports: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  embeddings = str(indexed / "embeddings")
  with pytest.raises(errors.ConfigError, match="not the model that made"):
    index_job.index(
      output=str(tmp_path / "i"),
      embeddings=embeddings,
      model=str(exports / "other"),
    )
  np.savez(tmp_path / "v.npz", ids=["a"], vectors=np.ones((1, 8)))
  before = (indexed / "index.json").read_bytes()
  with pytest.raises(errors.ConfigError, match="another model's vectors"):
    index_job.index(
      output=str(indexed),
      embeddings=str(tmp_path / "v.npz"),
      model=str(exports / "other"),
      add=True,
    )
  assert (indexed / "index.json").read_bytes() == before


@pytest.mark.parametrize(
  ("settings", "culprit"),
  [
    ({}, "either --embeddings, or --model"),
    ({"embeddings": "e", "embed": print}, "either --embeddings"),
    ({"embed": print}, "--input: needs --model"),
    ({"embeddings": "e", "prune": True}, "--prune: only with --input"),
    ({"embeddings": "e", "add": True, "overwrite": True}, "--add: not"),
    ({"embeddings": "nowhere"}, "nowhere: no such folder or file"),
    ({"embeddings": __file__}, "vectors are read from"),
  ],
)
def test_options_that_do_not_fit_are_named(
  tmp_path: pathlib.Path, settings: dict, culprit: str
) -> None:
  with pytest.raises(errors.ConfigError, match=culprit):
    index_job.index(output=str(tmp_path / "i"), **settings)
  assert not (tmp_path / "i").exists()


@pytest.mark.parametrize(
  ("settings", "culprit"),
  [({"queries": []}, "nothing to search"), ({"k": 0}, "--k=0")],
)
def test_questions_that_are_none_are_named(
  indexed: pathlib.Path, settings: dict, culprit: str
) -> None:
  given = {"queries": ["jazz"], "index": str(indexed)} | settings
  with pytest.raises(errors.ConfigError, match=culprit):
    search_job.search(**given)
