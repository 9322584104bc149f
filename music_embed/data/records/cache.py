"""Memory-mapped arrays derived from a dataset's files.

A cache is a folder of `.npy` files and a `key.json` that says what they were
made from. It can be deleted at any time, and is used only while its key is
the one asked for. It lies in the dataset's own folder; where that is on an
object store or cannot be written to, in the user's cache folder
(`$MUSIC_EMBED_CACHE`, else `~/.cache/music_embed`); where that cannot be
written to either, in a temporary folder that goes with the process.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

FOLDER = "cache"
"""Within a dataset's directory: all its caches; can always be deleted."""

ENVIRONMENT_VARIABLE = "MUSIC_EMBED_CACHE"
"""Names the folder for datasets whose own cannot be written to."""

_KEY_FILE = "key.json"
_temporary: dict[str, str] = {}

Arrays = dict[str, npt.NDArray[Any]]
"""Read-only, memory-mapped arrays by name."""


class Stream:
  """An `.npy` file of one dimension that is appended to.

  Attributes:
    dtype: of the array.
  """

  def __init__(self, path: str, dtype: np.dtype[Any]) -> None:
    """Begins the file."""
    self.dtype = dtype
    self._length = 0
    self._file = open(path, "wb")  # noqa: SIM115
    self._write_header()

  def append(self, values: npt.NDArray[Any]) -> None:
    """Appends values [n]."""
    self._file.write(np.ascontiguousarray(values, self.dtype).data)
    self._length += len(values)

  def close(self) -> int:
    """Ends the file; returns the array's length."""
    self._file.seek(0)
    self._write_header()
    self._file.close()
    return self._length

  def _write_header(self) -> None:
    # numpy pads headers so that the length may grow in place.
    np.lib.format.write_array_header_1_0(
      self._file,
      {
        "descr": self.dtype.str,
        "fortran_order": False,
        "shape": (self._length,),
      },
    )


class Builder:
  """Writes the arrays of one cache.

  Attributes:
    arrays: the finished arrays, read-only; empty until the end of `building`.
  """

  def __init__(self, folder: str) -> None:
    """Writes into an existing folder."""
    self._folder = folder
    self._written: dict[str, dict[str, Any]] = {}
    self._streams: dict[str, Stream] = {}
    self.arrays: Arrays = {}

  def empty(
    self, name: str, shape: Sequence[int], dtype: npt.DTypeLike
  ) -> npt.NDArray[Any]:
    """A new array to be filled in place, memory-mapped; starts as zeros.

    Raises:
      OSError: the disk has no room for it.
    """
    kind = np.dtype(dtype)
    _require_room(self._folder, math.prod(shape) * kind.itemsize)
    array = np.lib.format.open_memmap(
      self._path(name), mode="w+", dtype=kind, shape=tuple(shape)
    )
    # Where a mapped page finds no room, the process is killed.
    with open(self._path(name), "rb+") as file:
      os.posix_fallocate(file.fileno(), 0, os.path.getsize(file.name))
    self._written[name] = {"dtype": array.dtype.str, "shape": list(shape)}
    return array

  def put(self, name: str, array: npt.NDArray[Any]) -> None:
    """Stores a finished array."""
    self.empty(name, array.shape, array.dtype)[...] = array

  def stream(self, name: str, dtype: npt.DTypeLike) -> Stream:
    """An array [n] of unknown length, to be appended to."""
    stream = Stream(self._path(name), np.dtype(dtype))
    self._streams[name] = stream
    return stream

  def finish(self, key: Mapping[str, Any]) -> None:
    """Brings all to the disk, and says what it is."""
    for name, stream in self._streams.items():
      length = stream.close()
      self._written[name] = {"dtype": stream.dtype.str, "shape": [length]}
    for name in self._written:
      with open(self._path(name), "rb+") as file:
        os.fsync(file.fileno())
    described = {"key": key, "arrays": self._written}
    files.write_json(os.path.join(self._folder, _KEY_FILE), described)

  def _path(self, name: str) -> str:
    return os.path.join(self._folder, f"{name}.npy")


def load(directory: str, name: str, key: Mapping[str, Any]) -> Arrays | None:
  """A dataset's cache, if it is there and fresh.

  Args:
    directory: the dataset's directory, local or remote.
    name: of the cache.
    key: JSON values that say what it must have been made from.

  Returns:
    Its arrays; None where it is missing, stale or damaged.
  """
  for parent in _parents(directory):
    arrays = _read(os.path.join(parent, name), key)
    if arrays is not None:
      return arrays
  return None


@contextlib.contextmanager
def building(
  directory: str, name: str, key: Mapping[str, Any]
) -> Iterator[Builder]:
  """Builds a cache, which appears whole or not at all.

  Only one process at a time builds a cache; another one waits here.

  Args:
    directory: the dataset's directory, local or remote.
    name: of the cache.
    key: JSON values that say what it is made from.

  Yields:
    What takes the arrays; afterwards it holds them, read-only.

  Raises:
    MusicEmbedError: the disk is full.
  """
  parent = _writable_parent(directory)
  with _lock(parent, name):
    with _fresh_folder(parent, name) as folder:
      builder = Builder(folder)
      yield builder
      builder.finish(key)
    builder.arrays = _require(os.path.join(parent, name), key)


def obtain(
  directory: str,
  name: str,
  key: Mapping[str, Any],
  build: Callable[[Builder], None],
) -> Arrays:
  """A dataset's cache, built first where it is missing or stale.

  Processes that ask at once build it once.

  Args:
    directory: the dataset's directory, local or remote.
    name: of the cache.
    key: JSON values that say what it is made from.
    build: puts the arrays into a builder.

  Returns:
    Its arrays.

  Raises:
    MusicEmbedError: the disk is full.
  """
  arrays = load(directory, name, key)
  if arrays is not None:
    return arrays
  parent = _writable_parent(directory)
  with _lock(parent, name):
    arrays = _read(os.path.join(parent, name), key)
    if arrays is not None:
      return arrays
    with _fresh_folder(parent, name) as folder:
      builder = Builder(folder)
      build(builder)
      builder.finish(key)
    return _require(os.path.join(parent, name), key)


def _parents(directory: str) -> list[str]:
  """Where the caches of a dataset may lie, best first."""
  parents = []
  if not files.is_remote(directory):
    directory = os.path.realpath(directory)
    parents.append(os.path.join(directory, FOLDER))
  home = os.environ.get(ENVIRONMENT_VARIABLE) or os.path.join(
    os.path.expanduser("~"), ".cache", "music_embed"
  )
  digest = hashlib.sha256(directory.encode()).hexdigest()[:32]
  parents.append(os.path.join(home, digest))
  if directory in _temporary:
    parents.append(_temporary[directory])
  return parents


def _writable_parent(directory: str) -> str:
  for parent in _parents(directory):
    with contextlib.suppress(OSError):
      os.makedirs(parent, exist_ok=True)
      if os.access(parent, os.W_OK):
        return parent
  if not files.is_remote(directory):
    directory = os.path.realpath(directory)
  parent = tempfile.mkdtemp(prefix="music_embed_cache_")
  atexit.register(_remove, parent, os.getpid())
  _temporary[directory] = parent
  return parent


def _remove(folder: str, owner: int) -> None:
  if os.getpid() == owner:  # A forked child must not take it away.
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(parent: str, name: str) -> Iterator[None]:
  with open(os.path.join(parent, f"{name}.lock"), "w") as file:
    with contextlib.suppress(OSError):  # Not every file system has locks.
      fcntl.flock(file, fcntl.LOCK_EX)
    yield


@contextlib.contextmanager
def _fresh_folder(parent: str, name: str) -> Iterator[str]:
  """A folder that takes the cache's place at the end."""
  final = os.path.join(parent, name)
  for entry in os.listdir(parent):
    if entry.startswith((f"{name}.tmp", f"{name}.old")):
      shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)
  folder = tempfile.mkdtemp(prefix=f"{name}.tmp", dir=parent)
  try:
    os.chmod(folder, 0o755)
    try:
      yield folder
    except OSError as error:
      if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise _no_room(final) from error
      raise
    if os.path.exists(final):
      # Who has mapped its files keeps them; nobody opens them any more.
      os.rename(final, f"{folder.replace('.tmp', '.old')}")
    os.rename(folder, final)
  finally:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder.replace(".tmp", ".old"), ignore_errors=True)


def _require_room(folder: str, num_bytes: int) -> None:
  disk = os.statvfs(folder)
  if num_bytes > disk.f_bavail * disk.f_frsize:
    raise OSError(errno.ENOSPC, f"{num_bytes:,} bytes")


def _no_room(folder: str) -> errors.MusicEmbedError:
  return errors.MusicEmbedError(
    f"{folder}: the disk is full; this cache of the dataset needs some room"
  )


def _read(folder: str, key: Mapping[str, Any]) -> Arrays | None:
  try:
    with open(os.path.join(folder, _KEY_FILE), encoding="utf-8") as file:
      described = json.load(file)
    if described["key"] != json.loads(json.dumps(key)):
      return None
    arrays = {}
    for name, expected in described["arrays"].items():
      mapped = np.load(os.path.join(folder, f"{name}.npy"), mmap_mode="r")
      if [mapped.dtype.str, list(mapped.shape)] != [
        expected["dtype"],
        expected["shape"],
      ]:
        return None
      # A plain array: indexing a np.memmap costs microseconds more.
      arrays[name] = mapped.view(np.ndarray)
    return arrays
  except (OSError, EOFError, KeyError, TypeError, ValueError):
    return None  # Missing or damaged: it is only a cache.


def _require(folder: str, key: Mapping[str, Any]) -> Arrays:
  arrays = _read(folder, key)
  if arrays is None:
    raise OSError(f"{folder}: changed while it was being built")
  return arrays
