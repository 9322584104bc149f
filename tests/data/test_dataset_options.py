"""What is asked of a dataset, as it stands in its manifest."""

import dataclasses
import pathlib

from music_embed.core import types
from music_embed.data.ingestion import options as options_lib
from music_embed.data.mining import sanitize, splits, vocabulary


def _request(folder: pathlib.Path, words: vocabulary.VocabularyOptions):
  for name in ("recordings.csv", "log.csv"):
    (folder / name).write_text("id\n")
  return options_lib.describe_request(
    recordings=str(folder / "recordings.csv"),
    listening_log=str(folder / "log.csv"),
    options=options_lib.DatasetOptions(
      front_end=types.LogMelFrontEnd(),
      quantization=types.Quantization(),
      ingestion=options_lib.IngestionOptions(),
      splits=splits.SplitOptions(),
      vocabulary=words,
      graph=sanitize.GraphOptions(),
      seed=0,
    ),
  )


def test_datasets_from_before_the_filter_are_still_the_same(tmp_path) -> None:
  words = vocabulary.VocabularyOptions()
  assert _request(tmp_path, words)["options"]["vocabulary"] == {
    "num_labels": 100_000,
    "max_ngram": 3,
    "min_documents": 1,
  }


def test_a_filtered_vocabulary_is_another_request(tmp_path) -> None:
  words = vocabulary.VocabularyOptions()
  filtered = dataclasses.replace(words, max_document_share=0.1)
  assert _request(tmp_path, words) != _request(tmp_path, filtered)
