"""Prepared datasets of random rows, written through the library's writers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from music_embed.core import files, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import (
  manifest,
  prepared,
  quantize,
  schema,
  writer,
)

_RECORDINGS_PER_SHARD = 256
_NUM_LABELS = 1_000
_LABELS_EACH = 20


def write(
  directory: str,
  *,
  dtype: str = "uint8",
  num_recordings: int = 1_000,
  num_rows: int = 3_000,
  mean_degree: int = 50,
  seed: int = 0,
) -> prepared.PreparedDataset:
  """Writes a dataset, nearly all of it training recordings.

  Args:
    directory: where; created.
    dtype: of the stored log-mels.
    num_recordings: of all splits.
    num_rows: frames of each recording.
    mean_degree: of the random co-listen graph.
    seed: of everything random.

  Returns:
    The dataset, opened.
  """
  rng = np.random.default_rng(seed)
  front_end = types.LogMelFrontEnd()
  quantization = types.Quantization(dtype=dtype).resolved(front_end)
  held_out = min(10, num_recordings // 10)
  sizes = (num_recordings - 2 * held_out, held_out, held_out)
  files.make_dirs(directory)
  entries: list[manifest.FileEntry] = []
  first = 0
  for split, size in zip(types.SPLITS, sizes, strict=True):
    starts = range(first, first + size, _RECORDINGS_PER_SHARD)
    for shard, start in enumerate(starts):
      stop = min(start + _RECORDINGS_PER_SHARD, first + size)
      name = files.shard_name(split, shard, len(starts))
      records = _records(
        rng, range(start, stop), num_rows, front_end, quantization
      )
      entries += writer.write_recordings(directory, name, records)
    first += size
  graph = random_graph(rng, num_recordings, mean_degree)
  entries += writer.write_graph(directory, graph, vertices_per_shard=100_000)
  labels = [f"label {number}" for number in range(_NUM_LABELS)]
  entries.append(
    writer.write_vocabulary(directory, labels, range(_NUM_LABELS, 0, -1))
  )
  manifest.Manifest(
    front_end=front_end,
    quantization=quantization,
    seed=seed,
    options={},
    inputs={},
    splits=dict(zip(types.SPLITS, sizes, strict=True)),
    counts={"labels": _NUM_LABELS},
    files=tuple(entries),
  ).save(directory)
  return prepared.PreparedDataset(directory)


def random_graph(
  rng: np.random.Generator, num_vertices: int, mean_degree: int
) -> graph_lib.Graph:
  """A graph of uniformly drawn edges."""
  size = num_vertices * mean_degree // 2
  first = rng.integers(0, num_vertices, size)
  second = rng.integers(0, num_vertices, size)
  low, high = np.minimum(first, second), np.maximum(first, second)
  codes = np.unique(low[low < high] * num_vertices + high[low < high])
  low, high = np.divmod(codes, num_vertices)
  return graph_lib.Graph.from_edges(
    num_vertices, low, high, np.full(len(low), 3)
  )


def _records(
  rng: np.random.Generator,
  recordings: range,
  num_rows: int,
  front_end: types.LogMelFrontEnd,
  quantization: types.Quantization,
) -> Iterator[schema.RecordingRecord]:
  shape = (num_rows, *front_end.row_shape)
  for recording in recordings:
    values: npt.NDArray[np.float32] = rng.random(shape, np.float32)
    yield schema.RecordingRecord(
      recording_id=f"recording {recording}",
      title=f"title {recording}",
      artist="",
      labels=np.sort(rng.choice(_NUM_LABELS, _LABELS_EACH, replace=False)),
      rows=quantize.quantize(10.0 * values - 4.6, quantization),
    )
