"""Writes a source's batches as shards that are read in sequence.

For datasets on object stores, where one ranged request a window is slow: the
windows are gathered once, close to the data, by any number of workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import uuid
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from music_embed.core import errors, files
from music_embed.data.engines import base
from music_embed.data.pipeline import batching
from music_embed.data.pipeline import layout as layout_lib
from music_embed.data.records import example, prepared, tfrecord

_REQUEST_FILE = "materializing.json"
_LOCK_FILE = "lock"


@dataclasses.dataclass(frozen=True)
class Task:
  """One shard of every part: a pure function of these.

  Attributes:
    output: folder of the batches.
    dataset: directory of the dataset, as workers see it.
    source: of the batches.
    layout: of the folder.
    shard: which one.
  """

  output: str
  dataset: str
  source: batching.StepSource
  layout: layout_lib.Layout
  shard: int


def materialize(
  dataset: prepared.PreparedDataset,
  source: batching.StepSource,
  layout: layout_lib.Layout,
  *,
  output: str,
  engine: base.Engine,
) -> None:
  """Writes batches; can be interrupted and called again.

  Of finished batches, shards that are missing or cut short are made again.

  Args:
    dataset: the prepared dataset.
    source: of the batches.
    layout: of `layout.of_source`.
    output: folder, local or on an object store that TensorFlow knows; all
      workers of the engine write to it.
    engine: runs one task a shard.

  Raises:
    DataError: the folder holds batches of another request.
  """
  _make_dirs(output)
  final = files.join(output, layout_lib.FILE_NAME)
  request = files.join(output, _REQUEST_FILE)
  with _exclusive(output):
    for path in (final, request):
      if files.exists(path):
        _check_same(output, files.read_json(path), layout)
    is_finished = files.exists(final)
    if not is_finished:
      if not files.exists(request):
        _check_no_shards(output)
      with _atomic(request) as file:
        file.write(_text(layout))
    engine.map(
      write_shard,
      [
        Task(output, dataset.directory, source, layout, shard)
        for shard in range(layout.num_shards)
      ],
      description="batches",
      unit="shard",
    )
    if not is_finished:
      with _atomic(final) as file:
        file.write(_text(layout))
      _remove(request)


def write_shard(task: Task) -> None:
  """Writes a task's shards unless they are there; runs on any worker."""
  layout = task.layout
  steps = layout.steps_of(task.shard)
  paths = [
    files.join(task.output, layout.shard_name(part, task.shard))
    for part in range(layout.parts)
  ]
  # Records are of one size, so a whole file is known by its own.
  size = len(steps) * (
    len(_record(layout, 0, _blank(layout)))
    + tfrecord.HEADER_BYTES
    + tfrecord.FOOTER_BYTES
  )
  if all(files.exists(path) and files.size(path) == size for path in paths):
    return
  source = _Source(task.source, layout.seed)
  function = _function(task.dataset, layout.dataset, source)
  with contextlib.ExitStack() as stack:
    opened = [stack.enter_context(_atomic(path)) for path in paths]
    for step in steps:
      batch = function(step)
      for part, file in enumerate(opened):
        first = part * layout.part_rows
        rows = slice(first, first + layout.part_rows)
        arrays = {name: array[rows] for name, array in batch.items()}
        tfrecord.write(file, _record(layout, step, arrays))


def _record(
  layout: layout_lib.Layout, step: int, arrays: batching.Batch
) -> bytes:
  """A part of a batch as a serialised `tf.train.Example` of raw bytes."""
  features: dict[str, list[bytes | memoryview]] = {
    layout_lib.STEP: [np.array(step, "<i8").tobytes()]
  }
  for name, spec in layout.signature(layout.part_rows).items():
    array = arrays[name]
    if array.shape != spec.shape:
      raise ValueError(f"{name}: {array.shape}, but {spec.shape} in the layout")
    array = np.ascontiguousarray(array, spec.dtype)
    features[name] = [array.reshape(-1).view(np.uint8).data]
  return example.encode(features)


def _blank(layout: layout_lib.Layout) -> batching.Batch:
  signature = layout.signature(layout.part_rows)
  return {n: np.zeros(spec.shape, spec.dtype) for n, spec in signature.items()}


class _Source:
  """A source and a seed, equal where they give equal batches."""

  def __init__(self, source: batching.StepSource, seed: int) -> None:
    self.source = source
    self.seed = seed
    self._key = json.dumps([source.describe(), seed], sort_keys=True)

  def __eq__(self, other: object) -> bool:
    return isinstance(other, _Source) and self._key == other._key

  def __hash__(self) -> int:
    return hash(self._key)


@functools.lru_cache(maxsize=1)
def _function(directory: str, fingerprint: str, source: _Source) -> Any:
  """Opening a dataset and a source once serves all tasks of a worker.

  The fingerprint is part of the key: a worker may outlive a dataset whose
  directory then gets another.
  """
  dataset = prepared.PreparedDataset(directory)
  return source.source.steps(dataset, seed=source.seed).function


def _check_same(
  output: str, before: dict[str, Any], layout: layout_lib.Layout
) -> None:
  now = json.loads(_text(layout))
  different = [
    f"{name} was {before.get(name)}, is now {now.get(name)}"
    for name in sorted(before.keys() | now.keys())
    if before.get(name) != now.get(name)
  ]
  if different:
    raise errors.DataError(
      f"{output} holds other batches: {'; '.join(different)}. Choose another"
      " --output, or delete it first"
    )


def _check_no_shards(output: str) -> None:
  """Shards of nobody knows which batches must not be taken for ours."""
  shards = [name for name in _names(output) if ".tfrecord-" in name]
  if shards:
    raise errors.DataError(
      f"{output} holds {min(shards)}, but nothing says of which batches:"
      " choose another --output, or delete it first"
    )


def _names(output: str) -> list[str]:
  if files.is_remote(output):
    import tensorflow as tf

    return tf.io.gfile.listdir(output)
  return os.listdir(output)


def _text(layout: layout_lib.Layout) -> bytes:
  values = dataclasses.asdict(layout)
  return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()


@contextlib.contextmanager
def _atomic(path: str) -> Iterator[IO[bytes]]:
  """`files.atomic_write`, also to an object store."""
  if not files.is_remote(path):
    with files.atomic_write(path) as file:
      yield file
    return
  import tensorflow as tf  # Local shards are written without it.

  temporary = f"{path}.tmp{uuid.uuid4().hex}"
  try:
    with tf.io.gfile.GFile(temporary, "wb") as file:
      yield file
    tf.io.gfile.rename(temporary, path, overwrite=True)
  except BaseException:
    with contextlib.suppress(tf.errors.OpError):
      tf.io.gfile.remove(temporary)
    raise


@contextlib.contextmanager
def _exclusive(output: str) -> Iterator[None]:
  if files.is_remote(output):
    yield  # There are no locks; shards are whole whoever writes them.
    return
  lock = files.join(output, _LOCK_FILE)
  with files.exclusive(lock, output):
    files.remove_leftovers(output)
    yield
    os.unlink(lock)


def _make_dirs(path: str) -> None:
  if files.is_remote(path):
    import tensorflow as tf

    tf.io.gfile.makedirs(path)
  else:
    files.make_dirs(path)


def _remove(path: str) -> None:
  if files.is_remote(path):
    import tensorflow as tf

    tf.io.gfile.remove(path)
  else:
    os.unlink(path)
