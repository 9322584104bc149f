"""Decoding as tasks of an engine, without a cluster."""

import pathlib
import shutil

import numpy as np
import soundfile

from music_embed.core import types
from music_embed.data.corpora import recordings
from music_embed.data.engines import local
from music_embed.data.ingestion import distributed, options, shards, state
from music_embed.data.mining import sanitize, splits, vocabulary
from music_embed.data.records import sidecar


def test_a_worker_that_stays_takes_each_datasets_own_vocabulary(
  tmp_path: pathlib.Path,
) -> None:
  noise = np.random.default_rng(0).standard_normal(64_000) / 10
  soundfile.write(tmp_path / "a.wav", noise, 16_000)
  recording = recordings.Recording("a", "a.wav", "one two", "")
  shard = shards.Shard("train.tfrecord-00000-of-00001", "train", (recording,))
  front_end = types.LogMelFrontEnd()
  wanted = options.DatasetOptions(
    front_end=front_end,
    quantization=types.Quantization.default(front_end).resolved(front_end),
    ingestion=options.IngestionOptions(),
    splits=splits.SplitOptions(),
    vocabulary=vocabulary.VocabularyOptions(),
    graph=sanitize.GraphOptions(),
    seed=0,
  )
  output = tmp_path / "dataset"
  for words in (("one", "two"), ("three", "two")):
    distributed.ingest(
      local.LocalEngine(1),
      str(tmp_path / "recordings.csv"),
      [shard],
      vocabulary.Vocabulary(words, (1, 1), 1),
      progress := state.State(str(output)),
      wanted,
    )
    result = progress.finished(shard)
    assert result is not None
    made = sidecar.from_shard(str(output), result.file)
    expected = [n for n, word in enumerate(words) if word != "three"]
    assert made.labels.tolist() == expected
    shutil.rmtree(output)
