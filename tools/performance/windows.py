"""Random windows through tf.data, beside raw reads and sequential reading."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from music_embed.core import files, types
from music_embed.data.pipeline import labelled, triplets
from music_embed.data.records import index as index_lib
from music_embed.data.records import prepared
from tools.performance import datasets, measure

BATCH_WINDOWS = 396
"""132 triplets, the batch of Huang et al. 2020 as gin/systems has it."""

SMALL_BATCH_WINDOWS = 132
"""44 triplets: what the paper's "132 examples" may mean as well."""

IN_PAGE_CACHE: dict[str, Any] = {"num_parallel_calls": 1, "prefetch_batches": 2}
"""For files that are there already; those on a cold disk want more calls."""

_SHUFFLE_BUFFER = 1_024
_RAW = "numpy, one preadv a window"
SEQUENTIAL = "TFRecord in sequence, shuffle, crop"


def figures(scratch: str) -> list[measure.Figure]:
  """Windows per CPU-second of each payload, and of triplet batches."""
  found = []
  for dtype in ("uint8", "float16", "float32"):
    data = datasets.write(os.path.join(scratch, dtype), dtype=dtype)
    rates = measure.side_by_side(
      {
        "ours": drain(_labelled(data, BATCH_WINDOWS), BATCH_WINDOWS),
        "direct": _direct(data),
        "raw": _raw(data),
        "sequential": drain(sequential(data), BATCH_WINDOWS),
      }
    )
    found += [
      _beside_raw(f"windows_tf_data_{dtype}", rates["ours"], rates["raw"]),
      measure.Figure.beside(
        f"windows_tf_data_over_sequential_{dtype}",
        rates["ours"],
        "1/CPU-s",
        SEQUENTIAL,
        rates["sequential"],
      ),
      _beside_raw(f"windows_direct_{dtype}", rates["direct"], rates["raw"]),
    ]
    if dtype == "uint8":
      found += _other_batches(data)
  return found


def sequential(data: prepared.PreparedDataset) -> tf.data.Dataset:
  """The usual way: records in sequence, a crop of each, a shuffle buffer."""
  rows, *row_shape = data.window_shape
  paths = [
    files.join(data.directory, shard.name)
    for shard in data.manifest.shards(types.SPLITS[0])
  ]
  dtype = tf.as_dtype(data.window_dtype)

  def crop(record: tf.Tensor) -> tf.Tensor:
    features = tf.io.parse_single_example(
      record, {"payload": tf.io.FixedLenFeature([], tf.string)}
    )
    payload = tf.reshape(
      tf.io.decode_raw(features["payload"], dtype), [-1, *row_shape]
    )
    return tf.image.random_crop(payload, [rows, *row_shape])

  return (
    tf.data.TFRecordDataset(paths, num_parallel_reads=2)
    .repeat()
    .map(crop, num_parallel_calls=2)
    .shuffle(_SHUFFLE_BUFFER)
    .batch(BATCH_WINDOWS, drop_remainder=True)
    .prefetch(4)
  )


def _other_batches(data: prepared.PreparedDataset) -> list[measure.Figure]:
  of_triplets = triplets.TripletSource(
    batch_triplets=BATCH_WINDOWS // 3, **IN_PAGE_CACHE
  )
  rates = measure.side_by_side(
    {
      "triplets": drain(
        of_triplets.batches(data, seed=0, first_step=0), BATCH_WINDOWS
      ),
      "small": drain(_labelled(data, SMALL_BATCH_WINDOWS), SMALL_BATCH_WINDOWS),
      "raw": _raw(data),
      "raw small": _raw(data, SMALL_BATCH_WINDOWS),
    }
  )
  return [
    _beside_raw(
      "windows_of_triplets_tf_data_uint8", rates["triplets"], rates["raw"]
    ),
    _beside_raw(
      f"windows_tf_data_uint8_batch_{SMALL_BATCH_WINDOWS}",
      rates["small"],
      rates["raw small"],
    ),
  ]


def _beside_raw(name: str, rate: float, raw: float) -> measure.Figure:
  return measure.Figure.beside(name, rate, "1/CPU-s", _RAW, raw)


def _labelled(data: prepared.PreparedDataset, size: int) -> tf.data.Dataset:
  source = labelled.LabelledSource(batch_windows=size, **IN_PAGE_CACHE)
  return source.batches(data, seed=0, first_step=0)


def drain(batches: tf.data.Dataset, size: int) -> Callable[[], int]:
  """Takes a batch of so many windows a call."""
  iterator = iter(batches)

  def take() -> int:
    next(iterator)
    return size

  return take


def _draw(
  rng: np.random.Generator, data: prepared.PreparedDataset, size: int
) -> tuple[Any, Any]:
  recordings = rng.integers(0, data.num_recordings, size)
  last = np.asarray(data.num_rows)[recordings] - data.window_shape[0]
  return recordings, (rng.random(size) * (last + 1)).astype(np.int64)


def _direct(data: prepared.PreparedDataset) -> Callable[[], int]:
  rng = np.random.default_rng(0)

  def read() -> int:
    data.windows(*_draw(rng, data, BATCH_WINDOWS))
    return BATCH_WINDOWS

  return read


def _raw(
  data: prepared.PreparedDataset, batch: int = BATCH_WINDOWS
) -> Callable[[], int]:
  """The least that Python can do: draw, then read into an array."""
  index = index_lib.load(data.directory, data.manifest)
  descriptors = [
    os.open(files.join(data.directory, shard.name), os.O_RDONLY)
    for shard in index_lib.recording_shards(data.manifest)
  ]
  shard, offset = np.array(index.shard), np.array(index.offset)
  row_bytes = data.window_dtype.itemsize * int(
    np.prod(data.window_shape[1:], initial=1)
  )
  size = row_bytes * data.window_shape[0]
  rng = np.random.default_rng(0)

  def read() -> int:
    recordings, starts = _draw(rng, data, batch)
    out = np.empty((batch, *data.window_shape), data.window_dtype)
    view = out.data.cast("B")
    places = (offset[recordings] + starts * row_bytes).tolist()
    for i, (s, place) in enumerate(
      zip(shard[recordings].tolist(), places, strict=True)
    ):
      os.preadv(descriptors[s], [view[i * size : (i + 1) * size]], place)
    return batch

  return read
