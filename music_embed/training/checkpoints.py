"""Checkpoints that are complete or absent.

A checkpoint's files are written first; its *marker*, `<prefix>.complete`, with
their sizes, is written last and at once. What has no marker is the leftover of
a killed write; what differs from its marker is damaged. TensorFlow's own state
file (`checkpoint`) is kept for other tools and is not relied on.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from music_embed.core import errors, files

_PREFIX = "ckpt"
_MARKER = ".complete"
UNREADABLE = (
  tf.errors.DataLossError,
  tf.errors.NotFoundError,
  tf.errors.OutOfRangeError,
)


def newest(
  directory: str, warn: Callable[[str], None] | None = None
) -> str | None:
  """Prefix of the newest complete checkpoint; None where there is none.

  A directory without any marker is one of an earlier version: there the state
  file says which is the newest.

  Args:
    directory: local, or on an object store.
    warn: told of each damaged checkpoint that is passed over.

  Raises:
    DataError: there are checkpoints, but every one is damaged.
  """
  whole, damaged = _marked(directory)
  if whole:
    if warn is not None:
      for path in damaged:
        warn(f"{path} is damaged: taking {whole[-1]}")
    return whole[-1]
  if damaged:
    raise errors.DataError(
      f"{directory}: every checkpoint is damaged ({', '.join(damaged)}): put "
      f"back a copy, or delete the directory to begin anew"
    )
  return tf.train.latest_checkpoint(directory)


def step_of(path: str) -> int:
  """The training step of a checkpoint's prefix."""
  return int(path.rsplit("-", 1)[1])


def io_options() -> tf.train.CheckpointOptions:
  """Lets this process read and write the files, wherever variables lie.

  The hosts of a TPU slice would each write their own part to their own disk.
  """
  is_tpu = bool(tf.config.list_logical_devices("TPU"))
  return tf.train.CheckpointOptions(
    experimental_io_device="/job:localhost" if is_tpu else None
  )


class Checkpoints:
  """The checkpoints of one directory: the last few complete ones."""

  def __init__(
    self,
    checkpoint: tf.train.Checkpoint,
    directory: str,
    *,
    keep: int,
    writes: bool = True,
  ):
    """Names what is saved and where; reads and writes nothing yet.

    Args:
      checkpoint: what is saved.
      directory: local; created at the first save.
      keep: complete checkpoints that are kept.
      writes: whether this process is the one whose files count. The others of
        a strategy take part in each `save`, since reading a variable may need
        them, and keep nothing.
    """
    self._checkpoint = checkpoint
    self._directory = directory
    self._keep = keep
    self._writes = writes

  def restore(self, warn: Callable[[str], None]) -> str | None:
    """Restores the newest complete checkpoint, or the newest readable one.

    Args:
      warn: told of each damaged checkpoint that is passed over.

    Returns:
      Its prefix; None where there is none.

    Raises:
      DataError: there are only damaged ones, or the newest holds other
        variables than are to be restored.
    """
    unreadable: list[str] = []
    while True:
      whole, damaged = _marked(self._directory)
      whole = [path for path in whole if path not in unreadable]
      if whole:
        path: str | None = whole[-1]
      elif damaged or unreadable:
        names = ", ".join({*damaged, *unreadable})
        raise errors.DataError(
          f"{self._directory}: every checkpoint is damaged ({names}): put back "
          f"a copy, or delete the directory to begin anew"
        )
      else:
        path = tf.train.latest_checkpoint(self._directory)
      if path is None:
        return None
      try:
        self._checkpoint.read(path, io_options()).assert_consumed()
      except UNREADABLE:
        unreadable.append(path)
        continue
      except (AssertionError, ValueError) as error:
        raise errors.DataError(
          f"{path}: holds other variables than this run ({_brief(error)}): "
          f"choose another --workdir, or take its parts by WarmStart"
        ) from error
      for bad in [*damaged, *unreadable]:
        warn(f"{bad} is damaged: going on from {path}")
      if self._writes:
        for bad in unreadable:
          os.unlink(bad + _MARKER)
        self._tidy()
      return path

  def save(self, step: int) -> None:
    """Writes a checkpoint; the previous ones go only once it is complete.

    Every process of a strategy must call it, in the same order.

    Args:
      step: the training step, which names it.

    Raises:
      MusicEmbedError: there is no room for it.
    """
    if not self._writes:
      with tempfile.TemporaryDirectory() as elsewhere:
        self._checkpoint.write(files.join(elsewhere, _PREFIX), io_options())
      return
    files.make_dirs(self._directory)
    prefix = self._free(step)
    try:
      self._checkpoint.write(prefix, io_options())
    except tf.errors.ResourceExhaustedError as error:
      raise errors.MusicEmbedError(
        f"{prefix}: cannot be written ({_brief(error)}): make room and run "
        f"again"
      ) from error
    sizes = {}
    for name in self._files_of(os.path.basename(prefix)):
      path = files.join(self._directory, name)
      _sync(path)
      sizes[name] = os.path.getsize(path)
    serial = 1 + max(_serials(self._directory).values(), default=0)
    marker = {"step": step, "serial": serial, "files": sizes}
    files.write_json(prefix + _MARKER, marker)
    self._tidy()

  def _free(self, step: int) -> str:
    """A prefix that no complete checkpoint bears."""
    taken = {*_serials(self._directory)}
    name, number = f"{_PREFIX}-{step}", 2
    while name in taken:
      name, number = f"{_PREFIX}-{number}-{step}", number + 1
    for leftover in self._files_of(name):
      os.unlink(files.join(self._directory, leftover))
    return files.join(self._directory, name)

  def _tidy(self) -> None:
    """Keeps the last complete ones, deletes the others and all leftovers."""
    whole, _ = _marked(self._directory)
    if not whole:
      state = tf.train.get_checkpoint_state(self._directory)
      whole = [*state.all_model_checkpoint_paths] if state is not None else []
    kept = whole[-self._keep :]
    names = [os.path.basename(path) for path in kept]
    if kept:
      lines = [f'model_checkpoint_path: "{names[-1]}"']
      lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
      with files.atomic_write(
        files.join(self._directory, "checkpoint"), "w"
      ) as file:
        file.write("\n".join(lines) + "\n")
    for name in sorted(os.listdir(self._directory)):
      path = files.join(self._directory, name)
      if not name.startswith(_PREFIX) or _owner(name) in names:
        continue
      if os.path.isdir(path):
        tf.io.gfile.rmtree(path)
      else:
        os.unlink(path)

  def _files_of(self, prefix: str) -> list[str]:
    return sorted(
      name
      for name in os.listdir(self._directory)
      if _owner(name) == prefix and not name.endswith(_MARKER)
    )


def _owner(name: str) -> str | None:
  """`ckpt-12.data-00000-of-00001` -> `ckpt-12`; None for what is no part."""
  found = re.fullmatch(
    r"(.+)\.(index|complete|data-\d+-of-\d+)", os.path.basename(name)
  )
  return found[1] if found else None


def _serials(directory: str) -> dict[str, int]:
  """Order of writing by base name, of all that have a marker."""
  found = {}
  for name in _list(directory):
    if name.endswith(_MARKER) and name.startswith(_PREFIX):
      try:
        marker = files.read_json(files.join(directory, name))
        found[name.removesuffix(_MARKER)] = int(marker["serial"])
      except (errors.DataError, KeyError, TypeError, ValueError):
        found[name.removesuffix(_MARKER)] = 0
  return found


def _marked(directory: str) -> tuple[list[str], list[str]]:
  """Prefixes of complete and of damaged checkpoints, in order of writing."""
  serials = _serials(directory)
  whole: list[str] = []
  damaged: list[str] = []
  for name in sorted(serials, key=lambda name: serials[name]):
    path = files.join(directory, name)
    (whole if _is_whole(path) else damaged).append(path)
  return whole, damaged


def _is_whole(prefix: str) -> bool:
  try:
    sizes = files.read_json(prefix + _MARKER)["files"]
    folder = os.path.dirname(prefix)
    return bool(sizes) and all(
      files.size(files.join(folder, name)) == size
      for name, size in sizes.items()
    )
  except (errors.DataError, OSError, KeyError, TypeError, AttributeError):
    return False


def _list(directory: str) -> list[str]:
  if not files.exists(directory):
    return []
  return [name.rstrip("/") for name in tf.io.gfile.listdir(directory)]


def _sync(path: str) -> None:
  with open(path, "rb") as file:
    os.fsync(file.fileno())


def _brief(error: Any) -> str:
  return " ".join(str(error).split())[:200]
