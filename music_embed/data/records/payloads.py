"""Reads stretches of payloads from the places that the index names."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Sequence
from concurrent import futures
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

_RESERVED_DESCRIPTORS = 256
_REMOTE_READERS = 16
_REMOTE_GAP_BYTES = 1 << 20


class Reader(Protocol):
  """Fills arrays from the bytes of a dataset's shards."""

  def read(
    self,
    shards: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    out: npt.NDArray[Any],
  ) -> None:
    """Reads stretches of equal length.

    Args:
      shards: position of each stretch's shard, int [n].
      offsets: its first byte in the shard, int64 [n].
      out: filled, [n, ...], contiguous.

    Raises:
      DataError: a shard ends before a stretch does, or cannot be read.
    """
    ...


class _Descriptor:
  """An open file, closed when nobody uses it any more."""

  __slots__ = ("number",)

  def __init__(self, path: str) -> None:
    self.number = os.open(path, os.O_RDONLY)

  def __del__(self) -> None:
    if hasattr(self, "number"):
      os.close(self.number)


class LocalReader:
  """One `preadv` a stretch; safe in several threads, and after a fork.

  Of many shards, those opened last stay open: as many as the process may
  have, for which the soft limit is raised where that helps.
  """

  def __init__(self, paths: Sequence[str]) -> None:
    """Opens nothing yet."""
    self._paths = paths
    self._open: dict[int, _Descriptor] = {}
    self._lock = threading.Lock()
    self._capacity = _descriptors(len(paths))

  def read(
    self,
    shards: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    out: npt.NDArray[Any],
  ) -> None:
    """See `Reader`."""
    if not len(out):
      return
    size = out[0].nbytes
    rows = out.view(np.uint8).reshape(len(out), size)
    find, preadv = self._open.get, os.preadv
    for shard, offset, row in zip(
      shards.tolist(), offsets.tolist(), rows, strict=True
    ):
      # The name keeps the file open while another thread may let go of it.
      descriptor = find(shard) or self._opened(shard)
      try:
        num_read = preadv(descriptor.number, (row,), offset)
      except OSError as error:
        raise _unreadable(self._paths[shard], error) from error
      if num_read != size:
        raise _too_short(self._paths[shard], offset + size)

  def _opened(self, shard: int) -> _Descriptor:
    with self._lock:
      descriptor = self._open.get(shard)
      if descriptor is None:
        while len(self._open) >= self._capacity:
          del self._open[next(iter(self._open))]
        try:
          descriptor = _Descriptor(self._paths[shard])
        except OSError as error:
          raise _unreadable(self._paths[shard], error) from error
        self._open[shard] = descriptor
      return descriptor


class RemoteReader:
  """Ranged reads through TensorFlow's file systems, several at once.

  Stretches that lie close together are read as one. Each request takes
  milliseconds: right for validation and evaluation, slow for training, which
  should read materialised shards instead.
  """

  def __init__(self, paths: Sequence[str]) -> None:
    """Opens nothing yet."""
    self._paths = paths

  def read(
    self,
    shards: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    out: npt.NDArray[Any],
  ) -> None:
    """See `Reader`."""
    if not len(out):
      return
    size = out[0].nbytes
    rows = out.view(np.uint8).reshape(len(out), size)
    order = np.lexsort((offsets, shards))
    apart = np.diff(offsets[order]) > size + _REMOTE_GAP_BYTES
    apart |= np.diff(shards[order]) != 0
    groups = np.split(order, np.flatnonzero(apart) + 1)

    def fetch(group: npt.NDArray[Any]) -> None:
      path, first = self._paths[shards[group[0]]], int(offsets[group[0]])
      end = int(offsets[group[-1]]) + size
      try:
        with files.open_read(path) as file:
          file.seek(first)
          data = file.read(end - first)
      except OSError as error:
        raise errors.DataError(f"{path}: cannot be read ({error})") from error
      if len(data) != end - first:
        raise _too_short(path, end)
      block = np.frombuffer(data, np.uint8)
      for row in group:
        begin = int(offsets[row]) - first
        rows[row] = block[begin : begin + size]

    with futures.ThreadPoolExecutor(_REMOTE_READERS) as pool:
      list(pool.map(fetch, groups))


def reader(directory: str, names: Sequence[str]) -> Reader:
  """The reader for a dataset's shards, by where they lie."""
  paths = [files.join(directory, name) for name in names]
  return (
    RemoteReader(paths) if files.is_remote(directory) else LocalReader(paths)
  )


def _descriptors(wanted: int) -> int:
  """How many files may stay open; raises the soft limit if it is too low."""
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  unlimited = resource.RLIM_INFINITY
  needed = wanted + _RESERVED_DESCRIPTORS
  if soft == unlimited or needed <= soft:
    return max(wanted, 1)
  soft = needed if hard == unlimited else min(needed, hard)
  resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
  return max(soft - _RESERVED_DESCRIPTORS, 1)


def _unreadable(path: str, error: OSError) -> errors.DataError:
  return errors.DataError(f"{path}: cannot be read ({error.strerror})")


def _too_short(path: str, end: int) -> errors.DataError:
  return errors.DataError(
    f"{path} ends before byte {end}: it changed since it was opened"
  )
