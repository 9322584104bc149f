"""Approximate finders: built, added to, and tuned until they find enough."""

from __future__ import annotations

import dataclasses
import math
import sys
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
_QUERIES = 256
"""Whose candidates are compared at a time."""
_FACTORS = (4, 8, 16, 64)
"""Candidates for each recording that is asked for."""
_STANDSTILL = 5e-4
"""Recall that a larger breadth must add, or more candidates are taken."""
_EQUAL = 1e-6
"""Cosines that differ by less are equal."""


class TooInexactError(errors.DataError):
  """An approximate finder does not find enough of these vectors."""


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
  _say(f"finding {lists:,} centres of {wanted:,} vectors")
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
    breadth: lists to look into, or recordings that a walk keeps in view.
    factor: candidates for each recording that is asked for.
    recall_at_10: by kind of query.
  """

  breadth: int
  factor: int
  recall_at_10: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class _Asked:
  """Queries whose answers are known.

  Attributes:
    vectors: float32 [n, dim], unit norm.
    own: int64 [n], rows that are no answers; -1 for none.
    least: float32 [n], cosine of the last recording that is to be found.
    wanted: recordings of each.
  """

  vectors: Array
  own: Array
  least: Array
  wanted: int


def tuned(
  make: Callable[[int, int], finders.Finder],
  vectors: Array,
  words: Array | None,
  *,
  most: int,
  options: Options,
) -> Tuned:
  """The fewest candidates, and the least breadth, that find enough.

  Args:
    make: a finder of a breadth and a factor.
    vectors: float32 [size, dim], unit norm; a sample of them is asked for
      their nearest others.
    words: float32 [words, dim], unit norm; a sample of them is asked for.
    most: the largest breadth.
    options: how many of each are asked.

  Returns:
    A breadth of 1, 2, 3, 4, 6, 8, 12 ... and what is found with it.

  Raises:
    TooInexactError: even the largest does not find enough.
  """
  rows = _sample(len(vectors), options.queries)
  _say(f"tuning for recall@10 of {RECALL}")
  asked = {"recordings": _asked(vectors, vectors[rows], rows)}
  if words is not None and len(words):
    chosen = words[_sample(len(words), options.queries)]
    asked["words"] = _asked(vectors, chosen, np.full(len(chosen), -1))
  for factor in _FACTORS:
    least = 0.0
    for breadth in _breadths(most):
      finder = make(breadth, factor)
      found = {
        kind: _recall(finder, vectors, some) for kind, some in asked.items()
      }
      before, least = least, min(found.values())
      if least >= RECALL:
        rounded = {kind: round(value, 4) for kind, value in found.items()}
        return Tuned(breadth, factor, rounded)
      if least - before < _STANDSTILL and factor < _FACTORS[-1]:
        break  # It seems that codes are too coarse for so few candidates.
  raise TooInexactError(
    f"the approximate index finds {least:.3f} of the nearest recordings, less"
    f" than {RECALL}: build one of --kind=flat"
  )


def _say(text: str) -> None:
  tqdm.tqdm.write(text, file=sys.stderr)


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


def _asked(vectors: Array, queries: Array, own: Array) -> _Asked:
  queries = np.ascontiguousarray(queries)
  has_own = bool((own >= 0).any())
  k = min(finders.TUNED_K + has_own, len(vectors))
  scores, _ = finders.exact(vectors, queries, k)
  return _Asked(queries, own, scores[:, -1], max(1, k - has_own))


def _recall(finder: finders.Finder, vectors: Array, asked: _Asked) -> float:
  """Share of the 10 nearest that are among a finder's candidates.

  A candidate as near as the 10th is one of them, since which of equal
  recordings an exact search names is chance.
  """
  rows = finder.candidates(asked.vectors, asked.wanted, np.zeros(0, np.int64))
  found = 0
  for start in range(0, len(rows), _QUERIES):
    part = slice(start, start + _QUERIES)
    near = vectors[np.maximum(rows[part], 0)]
    scores = np.einsum("nkd,nd->nk", near, asked.vectors[part])
    hits = scores >= asked.least[part, None] - _EQUAL
    hits &= (rows[part] >= 0) & (rows[part] != asked.own[part, None])
    found += int(np.minimum(hits.sum(axis=1), asked.wanted).sum())
  return found / (asked.wanted * len(rows))
