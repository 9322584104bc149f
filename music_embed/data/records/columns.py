"""Text columns that are decoded when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

_CHUNK = 4096


class TextColumn(Sequence[str]):
  """A sequence of texts over memory-mapped UTF-8."""

  def __init__(self, indptr: npt.NDArray[Any], utf8: npt.NDArray[Any]) -> None:
    """Holds on to the arrays.

    Args:
      indptr: int64 [texts + 1], where each text starts and ends.
      utf8: uint8 [bytes].
    """
    self._indptr = indptr
    self._utf8 = utf8

  def __len__(self) -> int:
    return len(self._indptr) - 1

  @overload
  def __getitem__(self, index: int) -> str: ...

  @overload
  def __getitem__(self, index: slice) -> list[str]: ...

  def __getitem__(self, index: int | slice) -> str | list[str]:
    if isinstance(index, slice):
      return [self[i] for i in range(*index.indices(len(self)))]
    place = range(len(self))[index]
    start, end = self._indptr[place], self._indptr[place + 1]
    return self._utf8[start:end].tobytes().decode()

  def __iter__(self) -> Iterator[str]:
    for first in range(0, len(self), _CHUNK):
      ends = self._indptr[first : first + _CHUNK + 1]
      block = self._utf8[ends[0] : ends[-1]].tobytes()
      places = (ends - ends[0]).tolist()
      for start, end in zip(places[:-1], places[1:], strict=True):
        yield block[start:end].decode()

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Sequence) or isinstance(other, str):
      return NotImplemented
    return len(self) == len(other) and all(
      a == b for a, b in zip(self, other, strict=True)
    )

  __hash__ = None  # type: ignore[assignment]


class FlagColumn(Sequence[tuple[str, ...]]):
  """A text column of comma-separated flags as tuples."""

  def __init__(self, texts: TextColumn) -> None:
    """Splits the texts when they are looked at."""
    self._texts = texts

  def __len__(self) -> int:
    return len(self._texts)

  @overload
  def __getitem__(self, index: int) -> tuple[str, ...]: ...

  @overload
  def __getitem__(self, index: slice) -> list[tuple[str, ...]]: ...

  def __getitem__(
    self, index: int | slice
  ) -> tuple[str, ...] | list[tuple[str, ...]]:
    if isinstance(index, slice):
      return [_flags(text) for text in self._texts[index]]
    return _flags(self._texts[index])

  def __iter__(self) -> Iterator[tuple[str, ...]]:
    return map(_flags, self._texts)


def _flags(text: str) -> tuple[str, ...]:
  return tuple(text.split(",")) if text else ()


def indptr_of(lengths: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """Where rows of given lengths start and end, int64 [rows + 1]."""
  return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
