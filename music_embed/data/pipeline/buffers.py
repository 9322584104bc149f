"""Memory for batches that TensorFlow takes over without copying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64


class BufferPool:
  """Arrays whose memory is used again once nobody holds them.

  TensorFlow adopts an array of `numpy_function` where it is aligned as its
  own tensors are, and copies any other. A batch is some megabytes: fresh
  memory for each would be mapped and zeroed by the kernel page by page, which
  costs as much as filling it, and would push what is in the caches out.
  Several threads may use a pool.
  """

  def __init__(self) -> None:
    self._free: dict[int, list[_Memory]] = {}

  def empty(
    self, shape: Sequence[int], dtype: npt.DTypeLike
  ) -> npt.NDArray[Any]:
    """An aligned array of arbitrary contents.

    Its memory goes back to the pool when the last array, view or tensor of
    it is gone.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    free = self._free.setdefault(size, [])
    try:
      memory = free.pop()  # The one given back last: most likely cached.
    except IndexError:
      memory = _Memory(size)
    return np.asarray(_Lease(free, memory, tuple(shape), kind))


class _Memory:
  """Some bytes, and where in them aligned arrays begin."""

  __slots__ = ("_bytes", "address")

  def __init__(self, size: int) -> None:
    self._bytes = np.empty(size + _ALIGNMENT, np.uint8)
    address = self._bytes.ctypes.data
    self.address = address + -address % _ALIGNMENT


class _Lease:
  """What an array of the pool holds on to; gives its memory back."""

  __slots__ = ("__array_interface__", "_free", "_memory")

  def __init__(
    self,
    free: list[_Memory],
    memory: _Memory,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
  ) -> None:
    self._free = free
    self._memory = memory
    self.__array_interface__ = {
      "version": 3,
      "shape": shape,
      "typestr": dtype.str,
      "data": (memory.address, False),
    }

  def __del__(self) -> None:
    self._free.append(self._memory)
