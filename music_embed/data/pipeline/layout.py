"""How materialised batches lie on disk or in an object store.

Every batch is cut into *parts*, stretches of its rows, and dealt to *lanes*
in turn: batch s goes to lane s mod lanes. A shard holds the parts number p of
some consecutive batches of one lane. So a worker of several reads only the
parts that hold its rows, several files are read at once, all of them from
beginning to end, and still the order of the batches is exact.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from music_embed.core import errors, files, types
from music_embed.data.pipeline import batching
from music_embed.data.records import manifest, prepared

FILE_NAME = "materialized.json"
"""Name of the manifest, which is written last: it says the rest is whole."""

FORMAT = 1
"""Version of the layout; readers accept no other."""

STEP = "step"
"""Feature of a record: which step it belongs to, int64 little-endian."""


@dataclasses.dataclass(frozen=True)
class Layout:
  """What a folder of materialised batches holds.

  Attributes:
    dataset: SHA-256 of the manifest of the dataset that they come from.
    front_end: of its windows, as JSON values.
    quantization: of its windows, as JSON values.
    source: `StepSource.describe()`.
    seed: of the run that reads them.
    first_step: step of the first batch.
    num_steps: batches.
    batch: rows of a global batch.
    parts: pieces of a batch; divides it.
    lanes: shards that are read at once.
    steps_per_shard: batches of a lane in one shard.
    arrays: dtype and shape of each array of a global batch, by name.
    format: version of the layout.
  """

  dataset: str
  front_end: dict[str, Any]
  quantization: dict[str, Any]
  source: dict[str, Any]
  seed: int
  first_step: int
  num_steps: int
  batch: int
  parts: int
  lanes: int
  steps_per_shard: int
  arrays: dict[str, dict[str, Any]]
  format: int = FORMAT

  @property
  def steps(self) -> range:
    """The steps that there are batches for."""
    return range(self.first_step, self.first_step + self.num_steps)

  @property
  def num_shards(self) -> int:
    """Shards of each part: those of the first lanes, then of the next."""
    groups = math.ceil(self.num_steps / (self.lanes * self.steps_per_shard))
    return groups * self.lanes

  @property
  def part_rows(self) -> int:
    """Rows of a part."""
    return self.batch // self.parts

  @property
  def record_bytes(self) -> int:
    """Bytes of the arrays of one part of one batch."""
    return sum(
      spec.dtype.itemsize * math.prod(spec.shape)
      for spec in self.signature(self.part_rows).values()
    )

  @property
  def num_bytes(self) -> int:
    """Bytes of all arrays of all batches."""
    return self.record_bytes * self.parts * self.num_steps

  def signature(self, rows: int) -> dict[str, batching.ArraySpec]:
    """What a batch of that many rows holds."""
    return {
      name: batching.ArraySpec(
        (rows, *spec["shape"][1:]), np.dtype(spec["dtype"])
      )
      for name, spec in self.arrays.items()
    }

  def steps_of(self, shard: int) -> range:
    """The steps of a shard."""
    group, lane = divmod(shard, self.lanes)
    start = self.first_step + group * self.lanes * self.steps_per_shard + lane
    stop = start + self.steps_per_shard * self.lanes
    return range(start, min(stop, self.steps.stop), self.lanes)

  def shard_name(self, part: int, shard: int) -> str:
    """File name of a shard: `part-00.tfrecord-00002-of-00008`."""
    return files.shard_name(f"part-{part:02d}", shard, self.num_shards)


def of_source(
  dataset: prepared.PreparedDataset,
  source: batching.StepSource,
  *,
  seed: int,
  steps: range,
  parts: int,
  lanes: int,
  steps_per_shard: int,
) -> Layout:
  """The layout of a source's batches.

  Args:
    dataset: the prepared dataset.
    source: of the batches.
    seed: of the run that will read them.
    steps: consecutive.
    parts: pieces of a batch, at most: the largest number that is no more than
      this and divides the batch is taken.
    lanes: shards that are read at once.
    steps_per_shard: batches of a lane in one shard.

  Returns:
    The layout.

  Raises:
    ConfigError: a number is not positive.
    DataError: the dataset has nothing to draw.
  """
  for name, value in (
    ("steps", len(steps)),
    ("parts", parts),
    ("lanes", lanes),
    ("steps_per_shard", steps_per_shard),
  ):
    if value < 1:
      raise errors.ConfigError(f"materialising: {name} must be positive")
  signature = source.steps(dataset, seed=seed).signature
  batch = next(iter(signature.values())).shape[0]
  return Layout(
    dataset=fingerprint(dataset),
    front_end=dataset.front_end.to_json(),
    quantization=dataset.quantization.to_json(),
    source=source.describe(),
    seed=seed,
    first_step=steps.start,
    num_steps=len(steps),
    batch=batch,
    parts=max(n for n in range(1, parts + 1) if batch % n == 0),
    lanes=lanes,
    steps_per_shard=steps_per_shard,
    arrays={
      name: {"dtype": spec.dtype.str, "shape": list(spec.shape)}
      for name, spec in signature.items()
    },
  )


def load(directory: str) -> Layout:
  """Reads the layout of a finished folder.

  Raises:
    DataError: there is none, it is of another format, or malformed.
  """
  path = files.join(directory, FILE_NAME)
  if not files.exists(path):
    raise errors.DataError(
      f"{directory} holds no finished batches (no {FILE_NAME}): run"
      " launch/materialize.py, again if it was interrupted"
    )
  values = files.read_json(path)
  found = values.get("format") if isinstance(values, dict) else None
  if found != FORMAT:
    raise errors.DataError(
      f"{path}: format {found}, but this code reads format {FORMAT}:"
      " materialise again"
    )
  try:
    return Layout(**values)
  except TypeError as error:
    raise errors.DataError(f"{path}: malformed ({error})") from error


def fingerprint(dataset: prepared.PreparedDataset) -> str:
  """What tells one dataset from another: its manifest's SHA-256."""
  return files.sha256(files.join(dataset.directory, manifest.FILE_NAME))


def check_dataset(
  layout: Layout, directory: str, dataset: prepared.PreparedDataset
) -> None:
  """Checks that batches were made from a dataset.

  Args:
    layout: of the batches.
    directory: where they lie.
    dataset: what they should have been made from.

  Raises:
    ConfigError: they come from another one.
  """
  for name, now in (
    ("front_end", dataset.front_end.to_json()),
    ("quantization", dataset.quantization.to_json()),
    ("dataset", fingerprint(dataset)),
  ):
    before = getattr(layout, name)
    if before != now:
      raise errors.ConfigError(
        f"{directory}: materialised from another dataset than"
        f" {dataset.directory} ({name} {before}, here {now})"
      )


def rows_of(layout: Layout, worker: types.Slice) -> tuple[range, slice]:
  """The parts that hold a worker's rows, and where those lie in them.

  Raises:
    ConfigError: the batch does not divide evenly over the workers.
  """
  rows = worker.rows(layout.batch)
  size = layout.part_rows
  parts = range(rows.start // size, math.ceil(rows.stop / size))
  offset = parts.start * size
  return parts, slice(rows.start - offset, rows.stop - offset)
