"""Matrices of vectors on disk: `.npy` of float32, written row by row."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files

Array = npt.NDArray[Any]

_HEADER_BYTES = 128


def unit(vectors: Array) -> npt.NDArray[np.float32]:
  """Vectors of norm 1, float32 [n, dim]; those of norm 0 stay as they are."""
  vectors = np.asarray(vectors, np.float32)
  norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
  scaled: npt.NDArray[np.float32] = vectors / np.where(norms > 0, norms, 1)
  return scaled


class Writer:
  """Appends rows to a matrix whose height is not known beforehand."""

  def __init__(self, file: IO[bytes], dim: int) -> None:
    """Leaves room for the header; `finish` writes it."""
    self._file = file
    self._dim = dim
    self.rows = 0
    file.write(bytes(_HEADER_BYTES))

  def append(self, vectors: Array) -> None:
    """Appends float32 [n, dim]."""
    if vectors.ndim != 2 or vectors.shape[1] != self._dim:
      raise ValueError(f"vectors {vectors.shape}, not [n, {self._dim}]")
    self._file.write(np.ascontiguousarray(vectors, "<f4").tobytes())
    self.rows += len(vectors)

  def finish(self) -> None:
    """Writes the header."""
    described = (
      f"{{'descr': '<f4', 'fortran_order': False,"
      f" 'shape': ({self.rows}, {self._dim}), }}"
    )
    start = io.BytesIO()
    start.write(b"\x93NUMPY\x01\x00")
    start.write((_HEADER_BYTES - 10).to_bytes(2, "little"))
    start.write(described.encode().ljust(_HEADER_BYTES - 11) + b"\n")
    self._file.seek(0)
    self._file.write(start.getvalue())
    self._file.seek(0, os.SEEK_END)


@contextlib.contextmanager
def writing(path: str, dim: int) -> Iterator[Writer]:
  """A matrix that appears under `path` whole or not at all."""
  with files.atomic_write(path) as file:
    writer = Writer(file, dim)
    yield writer
    writer.finish()


def opened(path: str, rows: int, dim: int) -> npt.NDArray[np.float32]:
  """A matrix, memory-mapped.

  Raises:
    FileNotFoundError: there is none.
    DataError: it is damaged, or another one than was expected.
  """
  try:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
  except FileNotFoundError:
    raise
  except (OSError, EOFError, ValueError) as error:
    raise errors.DataError(f"{path}: damaged ({error})") from error
  if mapped.dtype != np.dtype("<f4") or mapped.shape != (rows, dim):
    raise errors.DataError(
      f"{path}: damaged: {mapped.dtype} {list(mapped.shape)}, not float32"
      f" [{rows}, {dim}]"
    )
  return np.asarray(mapped)
