"""Ways to find the vectors nearest to a query: all of them, or a part.

An approximate finder names candidates from codes of a byte a number (faiss:
Johnson et al. 2017); `Index.nearest` then compares these exactly.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from music_embed.core import errors

Array = npt.NDArray[Any]

TUNED_K = 10
"""Recordings that approximate finders are tuned to find."""


_FEW = 8
"""Queries that are as fast without faiss."""


class Finder(Protocol):
  """Finds candidates."""

  def candidates(self, queries: Array, k: int, leave_out: Array) -> Array:
    """Rows that the k nearest are among, but for what is missed.

    Args:
      queries: float32 [n, dim], unit norm.
      k: rows wanted of each query.
      leave_out: int64 [rows] that must not be found.

    Returns:
      int64 [n, at least k], -1 where there are fewer.
    """
    ...


class Flat:
  """Compares with every vector."""

  def __init__(self, vectors: Array) -> None:
    """Takes float32 [size, dim]; no copy is made."""
    self._vectors = vectors

  def candidates(self, queries: Array, k: int, leave_out: Array) -> Array:
    """See `Finder`: exact."""
    wanted = min(k + len(leave_out), len(self._vectors))
    if len(queries) <= _FEW:
      rows = self._of_few(queries, wanted)
    else:
      rows = exact(self._vectors, queries, wanted)[1]
    return np.where(np.isin(rows, leave_out), -1, rows)

  def _of_few(self, queries: Array, wanted: int) -> Array:
    """The same rows, in any order, without faiss, which imports slowly."""
    scores = queries @ self._vectors.T
    first = scores.shape[1] - wanted
    rows: Array = np.argpartition(scores, first, axis=1)[:, first:]
    return rows


class Lists:
  """Looks into the inverted lists nearest to a query (IVF)."""

  def __init__(self, index: Any, breadth: int, factor: int) -> None:
    """Takes a faiss index whose ids are rows.

    Args:
      index: of inverted lists.
      breadth: lists that are looked into.
      factor: candidates for each recording that is asked for.
    """
    self._index = index
    self._breadth = breadth
    self._factor = factor

  def candidates(self, queries: Array, k: int, leave_out: Array) -> Array:
    """See `Finder`."""
    parameters = _faiss().SearchParametersIVF(
      nprobe=self._breadth, sel=_all_but(leave_out)
    )
    wanted = _wanted(self._index, k, self._factor)
    rows: Array = self._index.search(queries, wanted, params=parameters)[1]
    return rows


class Graph:
  """Walks a graph of neighbours (HNSW)."""

  def __init__(self, index: Any, breadth: int, factor: int) -> None:
    """Takes a faiss index in the order of rows.

    Args:
      index: of a graph.
      breadth: recordings that a walk keeps in view.
      factor: candidates for each recording that is asked for.
    """
    self._index = index
    self._breadth = breadth
    self._factor = factor

  def candidates(self, queries: Array, k: int, leave_out: Array) -> Array:
    """See `Finder`."""
    wanted = _wanted(self._index, k, self._factor)
    parameters = _faiss().SearchParametersHNSW(
      efSearch=max(self._breadth, wanted), sel=_all_but(leave_out)
    )
    rows: Array = self._index.search(queries, wanted, params=parameters)[1]
    return rows


def of(kind: str, index: Any, breadth: int, factor: int) -> Finder:
  """An approximate finder of a kind, "ivf" or "hnsw"."""
  return (Lists if kind == "ivf" else Graph)(index, breadth, factor)


def _wanted(index: Any, k: int, factor: int) -> int:
  """Candidates for k recordings; for few as many as it was tuned with."""
  return int(min(factor * max(k, TUNED_K), index.ntotal))


def exact(
  vectors: Array, queries: Array, k: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
  """The k nearest of all vectors, by faiss.

  Args:
    vectors: float32 [size, dim], unit norm.
    queries: float32 [n, dim], unit norm.
    k: at most size.

  Returns:
    float32 [n, k] cosines, falling, and int64 [n, k] rows.
  """
  faiss = _faiss()
  queries = np.ascontiguousarray(queries)
  scores, rows = faiss.knn(
    queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT
  )
  return scores, rows


def read(path: str, name: str) -> Any:
  """A faiss index; its lists are memory-mapped.

  Args:
    path: of the file.
    name: what errors call it.

  Raises:
    DataError: it is damaged.
  """
  faiss = _faiss()
  try:
    return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
  except RuntimeError as error:
    reason = " ".join(str(error).split())[:200]
    raise errors.DataError(f"{name}: damaged ({reason})") from error


def _all_but(rows: Array) -> Any:
  """A selector of faiss; None for all rows."""
  if not len(rows):
    return None
  faiss = _faiss()
  return faiss.IDSelectorNot(faiss.IDSelectorBatch(rows))


def _faiss() -> Any:
  """faiss, imported when it is needed; its stubs lack its Python side."""
  import faiss

  return faiss
