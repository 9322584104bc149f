"""How the mining of the co-listen graph is cut into tasks."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.engines import segments
from music_embed.data.mining import colisten, sanitize

USER_PARTITIONS = 1024
"""Partitions of users in the segments of events: the hash's leading bits."""

EVENT = np.dtype([("user", "<u8"), ("recording", "<i4")])
"""A listening event: keyed hash of the user's id, position of the recording."""

PAIR = np.dtype([("recording", "<i4"), ("other", "<i4"), ("count", "<i4")])
"""A directed edge."""


@dataclasses.dataclass(frozen=True)
class Sizes:
  """How much a task holds in memory; without influence on the result.

  The defaults keep a task below some 700 MB (1 M recordings).

  Attributes:
    events_per_task: events that are sorted at once.
    entries_per_partition: entries of the lists that touch a partition.
    pairs_per_task: pairs, counted with repetition, of the recordings whose
      product one task computes.
    entries_per_block: of a product that is held at once.
    vertices_per_chunk: recordings whose rows are united at once.
  """

  events_per_task: int = 4_000_000
  entries_per_partition: int = 20_000_000
  pairs_per_task: int = 150_000_000
  entries_per_block: int = 10_000_000
  vertices_per_chunk: int = 8_192

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise errors.ConfigError(f"Sizes.{field.name} must be positive")


@dataclasses.dataclass(frozen=True)
class Job:
  """What every task knows.

  Attributes:
    folder: for the files between tasks, shared by all workers.
    num_recordings: recordings of the dataset, the graph's vertices.
    vertices_per_shard: recordings whose edges share a shard.
    options: thresholds and caps.
    sizes: of tasks.
  """

  folder: str
  num_recordings: int
  vertices_per_shard: int
  options: sanitize.GraphOptions
  sizes: Sizes

  @property
  def num_shards(self) -> int:
    """Shards of the graph."""
    return -(-self.num_recordings // self.vertices_per_shard)

  def shard(self, number: int) -> range:
    """Recordings of a shard."""
    start = number * self.vertices_per_shard
    stop = min(start + self.vertices_per_shard, self.num_recordings)
    return range(start, stop)

  @property
  def chunks_per_shard(self) -> int:
    """Chunks of a shard; in the last one some may be empty."""
    return -(-self.vertices_per_shard // self.sizes.vertices_per_chunk)

  def chunk(self, number: int) -> range:
    """Recordings of a chunk, numbered over all shards."""
    shard, place = divmod(number, self.chunks_per_shard)
    within = self.shard(shard)
    start = within.start + place * self.sizes.vertices_per_chunk
    stop = start + self.sizes.vertices_per_chunk
    return range(min(start, within.stop), min(stop, within.stop))

  def chunks_of(self, recordings: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The chunk of each recording, [recordings]."""
    shards, places = np.divmod(recordings, self.vertices_per_shard)
    places //= self.sizes.vertices_per_chunk
    return shards * self.chunks_per_shard + places

  def path(self, kind: str, number: int) -> str:
    """File of a task of a phase."""
    return os.path.join(self.folder, f"{kind}-{number:06d}")

  def save(self, name: str, array: npt.NDArray[Any]) -> None:
    """Writes an array for all tasks."""
    with files.atomic_write(os.path.join(self.folder, name)) as file:
      np.save(file, array)

  def load(self, name: str) -> npt.NDArray[Any]:
    """Maps such an array."""
    return np.load(os.path.join(self.folder, name), mmap_mode="r")


@dataclasses.dataclass(frozen=True)
class Block:
  """Some recordings of a partition: what one task multiplies."""

  partition: int
  recordings: range


def user_ranges(events: Sequence[str], events_per_task: int) -> list[range]:
  """Ranges of user partitions of no more than that many events each."""
  sizes = np.zeros(USER_PARTITIONS, np.int64)
  for path in events:
    sizes += segments.sizes(path)
  return cuts(sizes, events_per_task)


def cuts(sizes: npt.NDArray[Any], limit: int) -> list[range]:
  """Ranges of items of no more than `limit` in all, or of a single item."""
  total = np.concatenate([[0], np.cumsum(sizes)])
  ranges: list[range] = []
  start = 0
  while start < len(sizes) or not ranges:
    stop = int(np.searchsorted(total, total[start] + limit, "right")) - 1
    stop = min(max(stop, start + 1), len(sizes))
    ranges.append(range(start, stop))
    start = stop
  return ranges


def num_partitions(lengths: npt.NDArray[Any], job: Job) -> int:
  """The fewest partitions that lists are expected to fill as much as allowed.

  A list of n entries touches one of p partitions with probability
  1 - (1 - 1/p)^n: recordings are in the order of a hash.
  """
  entries = np.arange(len(lengths)) * lengths

  def filled(num_partitions: int) -> float:
    touched = 1 - (1 - 1 / num_partitions) ** np.arange(len(lengths))
    return float(entries @ touched)

  low, high = 1, max(job.num_recordings, 1)
  while low < high:
    middle = (low + high) // 2
    if filled(middle) > job.sizes.entries_per_partition:
      low = middle + 1
    else:
      high = middle
  return low


def pair_tasks(
  lengths: npt.NDArray[Any], num_partitions: int, job: Job
) -> list[Block]:
  """Cuts the partitions into blocks of about as many pairs."""
  num_pairs = float(lengths @ np.arange(len(lengths), dtype=np.float64) ** 2)
  blocks = num_pairs / num_partitions / job.sizes.pairs_per_task
  tasks = []
  for partition in range(num_partitions):
    within = colisten.partition_range(
      partition, num_partitions, job.num_recordings
    )
    step = max(1, math.ceil(len(within) / max(blocks, 1)))
    tasks += [
      Block(partition, within[start : start + step])
      for start in range(0, len(within), step)
    ]
  return tasks
