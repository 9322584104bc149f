"""Approximate finders: built, added to, and tuned until they find enough."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors
from music_embed.retrieval import finders

Array = npt.NDArray[Any]

RECALL = 0.995
"""Of the 10 nearest that a finder must find, of both kinds of queries."""

_SEED = 17
_BLOCK = 1 << 16
_K = 10
_EQUAL = 1e-6
"""Cosines that differ by less are equal."""


@dataclasses.dataclass(frozen=True)
class Options:
  """How approximate finders are built.

  Attributes:
    lists_per_root: inverted lists, a multiple of the square root of the
      number of recordings (rounded to a power of two).
    training_vectors: of each list.
    neighbors: links of a recording in a graph.
    construction_breadth: candidates for links.
    queries: of each kind that a finder is tuned with.
  """

  lists_per_root: float = 2.0
  training_vectors: int = 64
  neighbors: int = 32
  construction_breadth: int = 60
  queries: int = 1000


def num_lists(size: int, options: Options) -> int:
  """Inverted lists for so many recordings."""
  wanted = options.lists_per_root * math.sqrt(size)
  most = max(1, size // 39)  # What k-means of faiss asks for.
  return int(min(2 ** round(math.log2(max(1, wanted))), most))


def trained_lists(vectors: Array, options: Options) -> Any:
  """Empty inverted lists; codes of a byte a number, of what a centre lacks.

  Args:
    vectors: float32 [size, dim], unit norm.
    options: how.

  Returns:
    A faiss index, the same bits for the same vectors and threads.
  """
  lists = num_lists(len(vectors), options)
  index = faiss.index_factory(
    vectors.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT
  )
  wanted = min(len(vectors), lists * options.training_vectors)
  index.train(np.ascontiguousarray(vectors[_sample(len(vectors), wanted)]))
  return index


def empty_graph(vectors: Array, options: Options) -> Any:
  """A graph without recordings; codes of a byte a number."""
  index: Any = faiss.index_factory(
    vectors.shape[1],
    f"HNSW{options.neighbors},SQ8",
    faiss.METRIC_INNER_PRODUCT,
  )
  index.hnsw.efConstruction = options.construction_breadth
  sample = _sample(len(vectors), min(len(vectors), 100_000))
  index.train(np.ascontiguousarray(vectors[sample]))
  return index


def add(index: Any, vectors: Array, rows: Array, *, in_order: bool) -> None:
  """Adds vectors.

  Args:
    index: of this module.
    vectors: float32 [size, dim], memory-mapped or not.
    rows: int64 [n], those to add.
    in_order: of a graph, whose ids are the order of adding; one thread adds,
      since several would make other links each time.
  """
  threads = faiss.omp_get_max_threads()
  block = _BLOCK // 16 if in_order else _BLOCK  # So that Ctrl-C is heard.
  try:
    if in_order:
      faiss.omp_set_num_threads(1)
    with tqdm.tqdm(total=len(rows), unit=" recordings", desc="indexing") as bar:
      for start in range(0, len(rows), block):
        some = rows[start : start + block]
        part = np.ascontiguousarray(vectors[some])
        if in_order:
          index.add(part)
        else:
          index.add_with_ids(part, some)
        bar.update(len(some))
  finally:
    faiss.omp_set_num_threads(threads)


def remove(index: Any, rows: Array) -> None:
  """Removes rows from inverted lists."""
  index.remove_ids(faiss.IDSelectorBatch(rows))


@dataclasses.dataclass(frozen=True)
class Tuned:
  """What a finder needs to find enough.

  Attributes:
    breadth: lists to look into, or candidates of a walk.
    recall_at_10: by kind of query.
  """

  breadth: int
  recall_at_10: Mapping[str, float]


def tuned(
  make: Callable[[int], finders.Finder],
  vectors: Array,
  words: Array | None,
  *,
  most: int,
  options: Options,
) -> Tuned:
  """The least breadth with which a finder finds enough.

  Args:
    make: a finder of a breadth.
    vectors: float32 [size, dim], unit norm; a sample of them is asked for
      their nearest others.
    words: float32 [words, dim], unit norm; a sample of them is asked for.
    most: the largest breadth.
    options: how many of each are asked.

  Returns:
    A breadth of 1, 2, 3, 4, 6, 8, 12 ... and what it finds.

  Raises:
    DataError: even the largest does not find enough.
  """
  asked = {"recordings": _sample(len(vectors), options.queries)}
  queries = {"recordings": vectors[asked["recordings"]]}
  if words is not None and len(words):
    queries["words"] = words[_sample(len(words), options.queries)]
  least = {
    kind: _exact(vectors, some, asked.get(kind))
    for kind, some in queries.items()
  }
  for breadth in _breadths(most):
    finder = make(breadth)
    found = {
      kind: _recall(finder, vectors, some, asked.get(kind), least[kind])
      for kind, some in queries.items()
    }
    if min(found.values()) >= RECALL:
      rounded = {kind: round(value, 4) for kind, value in found.items()}
      return Tuned(breadth, rounded)
  raise errors.DataError(
    f"the approximate index finds {min(found.values()):.3f} of the nearest"
    f" recordings, less than {RECALL}: build one of --kind=flat"
  )


def _breadths(most: int) -> list[int]:
  powers = [2**p for p in range(int(math.log2(most)) + 1)]
  between = [3 * power // 2 for power in powers[1:]]
  return sorted({b for b in powers + between if b <= most} | {most})


def _sample(size: int, wanted: int) -> npt.NDArray[np.int64]:
  """Rows, rising; the same each time."""
  if wanted >= size:
    return np.arange(size)
  rng = np.random.Generator(np.random.Philox(_SEED))
  return np.sort(rng.choice(size, wanted, replace=False))


def _exact(
  vectors: Array, queries: Array, own: Array | None
) -> npt.NDArray[np.float32]:
  """Cosine of each query's 10th nearest that is not itself, float32 [n]."""
  k = min(_K + (own is not None), len(vectors))
  scores, _ = finders.exact(vectors, queries, k)
  least: npt.NDArray[np.float32] = scores[:, -1]
  return least


def _recall(
  finder: finders.Finder,
  vectors: Array,
  queries: Array,
  own: Array | None,
  least: Array,
) -> float:
  """Share of the 10 nearest that are among a finder's candidates.

  A candidate as near as the 10th is one of them, since which of equal
  recordings an exact search names is chance.
  """
  wanted = min(_K, len(vectors) - (own is not None))
  rows = finder.candidates(
    np.ascontiguousarray(queries), wanted + 1, np.zeros(0, np.int64)
  )
  found = 0
  for place, query in enumerate(queries):
    some = rows[place][rows[place] >= 0]
    if own is not None:
      some = some[some != own[place]]
    near = vectors[some] @ query >= least[place] - _EQUAL
    found += min(wanted, int(near.sum()))
  return found / (wanted * len(queries))
