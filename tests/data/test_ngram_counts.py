"""Counting n-grams in tasks: the same as counting them in one go."""

import pathlib
import random

import pytest

from music_embed.data.engines import local
from music_embed.data.mining import ngram_counts, vocabulary

_OPTIONS = vocabulary.VocabularyOptions


def _documents(num_documents: int) -> list[tuple[str, str]]:
  """Texts of few words, some common and many rare, with ties everywhere."""
  draw = random.Random(5)
  words = ["rock", "東京ブルース", "เพลงไทย", "música", "Ж", "live", "a", "b"]
  words += [f"rare{number}" for number in range(60)]

  def text() -> str:
    chosen = (words[int(len(words) * draw.random() ** 3)] for _ in range(4))
    return " ".join(chosen)

  return [(text(), text()) for _ in range(num_documents)]


@pytest.mark.parametrize("chunk_bytes", [1, 500, 1 << 20])
@pytest.mark.parametrize(
  "options",
  [
    _OPTIONS(),
    _OPTIONS(num_labels=7, max_ngram=1),
    _OPTIONS(num_labels=50, max_ngram=2),
    _OPTIONS(num_labels=400, min_documents=3),
    _OPTIONS(num_labels=20, max_document_share=0.4),
  ],
)
def test_chunks_and_partitions_do_not_change_the_vocabulary(
  tmp_path: pathlib.Path,
  options: vocabulary.VocabularyOptions,
  chunk_bytes: int,
) -> None:
  documents = _documents(60)
  expected = vocabulary.count_vocabulary(documents, options)
  with local.LocalEngine(num_workers=1) as engine:
    found = ngram_counts.count(
      engine,
      documents,
      options,
      directory=str(tmp_path / "a"),
      chunk_bytes=chunk_bytes,
    )
    backwards = ngram_counts.count(
      engine,
      documents[::-1],
      options,
      directory=str(tmp_path / "b"),
      chunk_bytes=chunk_bytes,
    )
  assert found == backwards == expected


def test_two_processes_count_what_one_counts(tmp_path: pathlib.Path) -> None:
  documents = _documents(100)
  with local.LocalEngine(num_workers=2) as engine:
    found = ngram_counts.count(
      engine,
      documents,
      _OPTIONS(),
      directory=str(tmp_path),
      chunk_bytes=1000,
    )
  assert found == vocabulary.count_vocabulary(documents, _OPTIONS())


def test_no_documents_give_no_labels(tmp_path: pathlib.Path) -> None:
  with local.LocalEngine(num_workers=1) as engine:
    found = ngram_counts.count(engine, [], _OPTIONS(), directory=str(tmp_path))
  assert found == vocabulary.Vocabulary((), (), 3)


def test_finished_tasks_are_not_done_again(tmp_path: pathlib.Path) -> None:
  documents = _documents(40)
  paths = ngram_counts.write_texts(str(tmp_path), documents, 300)
  assert len(paths) > 2
  tasks = [
    ngram_counts.ChunkTask(path, str(tmp_path / f"counts-{n:05d}"), 3, 2)
    for n, path in enumerate(paths)
  ]
  ngram_counts.count_chunk(tasks[0])
  before = (tmp_path / "counts-00000").stat()
  pathlib.Path(paths[0]).unlink()  # It would be missed if it were needed.
  for task in tasks:
    ngram_counts.count_chunk(task)
  assert (tmp_path / "counts-00000").stat().st_mtime_ns == before.st_mtime_ns


def test_a_finished_count_is_read_back_and_leaves_no_other_file(
  tmp_path: pathlib.Path,
) -> None:
  documents = _documents(30)
  with local.LocalEngine(num_workers=1) as engine:
    first = ngram_counts.count(
      engine, documents, _OPTIONS(), directory=str(tmp_path), chunk_bytes=99
    )
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.json"]
    again = ngram_counts.count(engine, [], _OPTIONS(), directory=str(tmp_path))
  assert again == first
