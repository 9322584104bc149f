"""Batches that were made before, read in sequence from anywhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors, files, types
from music_embed.data.pipeline import batching
from music_embed.data.pipeline import layout as layout_lib
from music_embed.data.records import prepared

_READ_BYTES = 8 << 20


class MaterializedSource:
  """The batches that `launch/materialize.py` wrote.

  For a seed and a step they are those of the source that they come from, for
  any number of workers; only it reads whole files from beginning to end,
  which object stores are good at.
  """

  runs_python = False

  def __init__(
    self,
    *,
    paths: str | Sequence[str],
    source: batching.StepSource | None = None,
    num_parallel_calls: int = 2,
    prefetch_batches: int = 4,
  ) -> None:
    """Configures the source; reads nothing yet.

    Args:
      paths: one folder, or several whose steps follow one another.
      source: what the batches must come from; None takes any.
      num_parallel_calls: batches decoded at once.
      prefetch_batches: batches held ready.
    """
    self._paths = [paths] if isinstance(paths, str) else list(paths)
    if not self._paths:
      raise errors.ConfigError("MaterializedSource.paths names no folder")
    self.source = source
    self._num_parallel_calls = num_parallel_calls
    self._prefetch_batches = prefetch_batches

  def scaled(self, replicas: int) -> MaterializedSource:
    """The source that must hold global batches of as many times the rows.

    What is on disk stays as it is: `batches` compares.

    Raises:
      ConfigError: it was not told what the batches must come from.
    """
    if replicas == 1:
      return self
    if self.source is None:
      raise errors.ConfigError(
        "train.batch_per_replica: materialised batches are global ones; bind "
        "MaterializedSource.source, so that their size can be compared, or "
        "leave batch_per_replica off"
      )
    return MaterializedSource(
      paths=self._paths,
      source=self.source.scaled(replicas),
      num_parallel_calls=self._num_parallel_calls,
      prefetch_batches=self._prefetch_batches,
    )

  def tuned(
    self, num_parallel_calls: int, prefetch_batches: int
  ) -> MaterializedSource:
    """See `StepSource`."""
    return MaterializedSource(
      paths=self._paths,
      source=self.source,
      num_parallel_calls=num_parallel_calls,
      prefetch_batches=prefetch_batches,
    )

  @functools.cached_property
  def _layouts(self) -> list[layout_lib.Layout]:
    layouts = [layout_lib.load(path) for path in self._paths]
    for path, before, layout in zip(
      self._paths[1:], layouts, layouts[1:], strict=False
    ):
      if layout.first_step != before.steps.stop:
        raise errors.ConfigError(
          f"{path} begins at step {layout.first_step:,}, but the folder before"
          f" it ends at {before.steps.stop:,}"
        )
    return layouts

  @property
  def available(self) -> range:
    """The steps that there are batches for.

    Raises:
      DataError, ConfigError: a folder is unfinished, or they have a gap.
    """
    layouts = self._layouts
    return range(layouts[0].steps.start, layouts[-1].steps.stop)

  def batches(
    self,
    dataset: prepared.PreparedDataset,
    *,
    seed: int,
    first_step: int,
    worker: types.Slice = batching.WHOLE,
  ) -> tf.data.Dataset:
    """See `StepSource.batches`; it ends with an error after the last batch.

    Raises:
      ConfigError: the batches come from another dataset, seed or source,
        there is none for `first_step`, or they do not divide evenly over the
        workers.
    """
    if first_step not in self.available:
      raise errors.ConfigError(
        f"{self._paths[0]}: there are batches for steps"
        f" {self.available.start:,} to {self.available.stop - 1:,}, not for"
        f" {first_step:,}"
      )
    found = []
    for path, layout in zip(self._paths, self._layouts, strict=True):
      self._check(path, layout, dataset, seed)
      start = max(first_step, layout.first_step)
      if start < layout.steps.stop:
        calls = self._num_parallel_calls
        found.append(_read(path, layout, start, worker, calls))
    found.append(_end(found[0].element_spec, self.available.stop))
    batches = functools.reduce(tf.data.Dataset.concatenate, found)
    return batches.prefetch(self._prefetch_batches)

  def _check(
    self,
    path: str,
    layout: layout_lib.Layout,
    dataset: prepared.PreparedDataset,
    seed: int,
  ) -> None:
    layout_lib.check_dataset(layout, path, dataset)
    if layout.seed != seed:
      raise errors.ConfigError(
        f"{path}: materialised with seed {layout.seed}, but the run has seed"
        f" {seed}"
      )
    expected = self.source.describe() if self.source else layout.source
    if layout.source != expected:
      different = ", ".join(
        f"{name} {layout.source.get(name)} (the run: {expected.get(name)})"
        for name in sorted(layout.source.keys() | expected.keys())
        if layout.source.get(name) != expected.get(name)
      )
      raise errors.ConfigError(
        f"{path}: holds batches of another source: {different}. Materialise"
        " with the run's gin files, or change these to what there is"
      )
    if layout.arrays != self._layouts[0].arrays:
      raise errors.ConfigError(
        f"{path}: its batches are not like those of {self._paths[0]}"
      )


def _read(
  path: str,
  layout: layout_lib.Layout,
  first_step: int,
  worker: types.Slice,
  num_parallel_calls: int,
) -> tf.data.Dataset:
  """The batches of one folder from a step on."""
  parts, rows = layout_lib.rows_of(layout, worker)
  # All lanes begin at the same round; what precedes the step is dropped.
  ahead, dropped = divmod(first_step - layout.first_step, layout.lanes)
  first_group, skipped = divmod(ahead, layout.steps_per_shard)
  groups = layout.num_shards // layout.lanes

  def lane(number: tf.Tensor) -> tf.data.Dataset:
    shards = tf.data.Dataset.range(first_group, groups).map(
      lambda group: group * layout.lanes + number
    )
    streams = tuple(_stream(path, layout, part, shards) for part in parts)
    return tf.data.Dataset.zip(streams).skip(skipped)

  records = tf.data.Dataset.range(layout.lanes).interleave(
    lane,
    cycle_length=layout.lanes,
    block_length=1,
    num_parallel_calls=layout.lanes,
    deterministic=True,
  )
  steps = tf.data.Dataset.range(first_step, layout.steps.stop)
  decode = functools.partial(_decode, path=path, layout=layout, rows=rows)
  return tf.data.Dataset.zip((steps, records.skip(dropped))).map(
    decode, num_parallel_calls=num_parallel_calls, deterministic=True
  )


def _stream(
  path: str, layout: layout_lib.Layout, part: int, shards: tf.data.Dataset
) -> tf.data.Dataset:
  """The records of one part and lane, shard after shard."""
  prefix, suffix = layout.shard_name(part, 0).split("-00000-of-")
  names = shards.map(
    lambda shard: tf.strings.join(
      [
        files.join(path, f"{prefix}-"),
        tf.strings.as_string(shard, width=5, fill="0"),
        f"-of-{suffix}",
      ]
    )
  )
  return tf.data.TFRecordDataset(names, buffer_size=_READ_BYTES)


def _decode(
  step: tf.Tensor,
  records: tuple[tf.Tensor, ...],
  *,
  path: str,
  layout: layout_lib.Layout,
  rows: slice,
) -> dict[str, tf.Tensor]:
  """One worker's rows of a batch, from the records of its parts."""
  names = sorted(layout.arrays)
  features = {
    name: tf.io.FixedLenFeature([], tf.string)
    for name in (layout_lib.STEP, *names)
  }
  parsed = [tf.io.parse_single_example(r, features) for r in records]
  found = tf.io.decode_raw(
    tf.stack([part[layout_lib.STEP] for part in parsed]), tf.int64
  )
  check = tf.debugging.Assert(
    tf.reduce_all(tf.equal(found, step)),
    [f"{path}: batches are out of order: wanted step", step, "found", found],
  )
  batch = {}
  for name, spec in layout.signature(layout.part_rows).items():
    dtype = tf.as_dtype(spec.dtype)
    pieces = [
      tf.reshape(tf.io.decode_raw(part[name], dtype), spec.shape)
      for part in parsed
    ]
    whole = pieces[0] if len(pieces) == 1 else tf.concat(pieces, axis=0)
    with tf.control_dependencies([check]):
      own = whole[rows] if whole.shape[0] != rows.stop - rows.start else whole
      batch[name] = tf.identity(own)
  return batch


def _end(spec: Any, stop: int) -> tf.data.Dataset:
  """A dataset of one element, which is an error."""

  def fail(_: tf.Tensor) -> Any:
    check = tf.debugging.Assert(
      False, [f"the materialised batches end at step {stop:,}"]
    )
    with tf.control_dependencies([check]):
      return tf.nest.map_structure(
        lambda tensor: tf.zeros(tensor.shape, tensor.dtype), spec
      )

  return tf.data.Dataset.range(1).map(fail)
