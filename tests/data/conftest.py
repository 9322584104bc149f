"""A dataset of random log-mels, written through the library's own writers."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from music_embed.core import files, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import manifest, prepared, schema, writer

FRONT_END = types.LogMelFrontEnd(num_bins=4, window_frames=10)


@dataclasses.dataclass(frozen=True)
class Written:
  """A dataset on disk and what was put into it."""

  directory: str
  log_mels: list[np.ndarray]
  labels: list[np.ndarray]
  graph: graph_lib.Graph

  def open(self) -> prepared.PreparedDataset:
    return prepared.PreparedDataset(self.directory)


Write = Callable[..., Written]


@pytest.fixture
def write_dataset(tmp_path: pathlib.Path) -> Write:
  def write(
    *,
    splits: Sequence[int] = (12, 3, 3),
    edges: Sequence[tuple[int, int]] = ((0, 1), (1, 2), (2, 13), (12, 13)),
    num_labels: int = 9,
    per_shard: int = 5,
  ) -> Written:
    rng = np.random.default_rng(0)
    num = sum(splits)
    log_mels = [
      rng.integers(0, 256, (10 + 3 * i, 4)).astype(np.uint8) for i in range(num)
    ]
    labels = [
      np.flatnonzero(rng.random(num_labels) < 0.4) if i % 4 else np.arange(0)
      for i in range(num)
    ]
    records = [
      schema.RecordingRecord(f"id{i}", f"título {i}", f"artist{i % 3}", *pair)
      for i, pair in enumerate(zip(labels, log_mels, strict=True))
    ]
    directory = str(tmp_path / "dataset")
    files.make_dirs(directory)
    entries, start = [], 0
    for split, size in zip(types.SPLITS, splits, strict=True):
      chunks = range(start, start + size, per_shard)
      for shard, first in enumerate(chunks):
        chunk = records[first : min(first + per_shard, start + size)]
        name = files.shard_name(split, shard, len(chunks))
        entries += writer.write_recordings(directory, name, chunk)
      start += size
    pairs = np.array(sorted(edges), np.int64).reshape(-1, 2)
    graph = graph_lib.Graph.from_edges(
      num, pairs[:, 0], pairs[:, 1], 3 + np.arange(len(pairs))
    )
    entries += writer.write_graph(directory, graph, vertices_per_shard=7)
    words = [f"word {i}" for i in range(num_labels)]
    entries.append(
      writer.write_vocabulary(directory, words, range(num_labels, 0, -1))
    )
    manifest.Manifest(
      front_end=FRONT_END,
      quantization=types.Quantization.default(FRONT_END),
      seed=0,
      options={},
      inputs={},
      splits=dict(zip(types.SPLITS, splits, strict=True)),
      counts={"labels": num_labels},
      files=tuple(entries),
    ).save(directory)
    return Written(directory, log_mels, labels, graph)

  return write
