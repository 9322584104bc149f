"""A tiny catalogue, prepared once for all tests of runs."""

from __future__ import annotations

import pytest

from music_embed.data.corpora import synthetic
from music_embed.data.mining import splits, vocabulary
from music_embed.runs import prepare


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
  """Directory of a synthetic corpus of 24 recordings."""
  output = str(tmp_path_factory.mktemp("corpus"))
  synthetic.write_corpus(output, config=synthetic.tiny_config(), num_workers=1)
  return output


@pytest.fixture(scope="session")
def tiny_dataset(
  tiny_corpus: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
  """Directory of the dataset prepared from it."""
  output = str(tmp_path_factory.mktemp("prepared") / "dataset")
  prepare.prepare(
    recordings=f"{tiny_corpus}/recordings.csv",
    listening_log=f"{tiny_corpus}/listening_log.csv.gz",
    output=output,
    num_workers=1,
    split_options=splits.SplitOptions(0.2, 0.2),
    vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
  )
  return output
