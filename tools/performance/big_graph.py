"""A co-listen graph of the paper's size, and sampling from it.

  python -m tools.performance.big_graph build --directory=DIR [--vertices=N]
  python -m tools.performance.big_graph measure --directory=DIR [--vertices=N]

`build` writes the arrays of the graph store straight, about 15 GB for 10.5 M
vertices of which half are holes; `measure` opens them as training does and
prints one line of JSON. Two processes, so that the memory of the second is
that of sampling.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import types
from music_embed.data.mining import hashing
from music_embed.data.pipeline import sampling
from music_embed.data.records import cache, graph_store, manifest
from tools.performance import measure as measure_lib

NUM_VERTICES = 10_500_000
"""Recordings of the paper."""

MAX_DEGREE = 250
BATCH_TRIPLETS = 132

_ROWS_AT_ONCE = 20_000
_HELD_OUT = 0.05
_ISOLATED = 0.05
_FULL = 0.75
_WARM_UP_STEPS = 20_000
_MEASURED_STEPS = 10_000


def described(num_vertices: int) -> manifest.Manifest:
  """The manifest of a dataset of which only the graph is there."""
  held_out = int(num_vertices * _HELD_OUT)
  sizes = (num_vertices - 2 * held_out, held_out, held_out)
  front_end = types.LogMelFrontEnd()
  return manifest.Manifest(
    front_end=front_end,
    quantization=types.Quantization.default(front_end),
    seed=0,
    options={},
    inputs={},
    splits=dict(zip(types.SPLITS, sizes, strict=True)),
    counts={},
    files=(),
  )


def build(directory: str, num_vertices: int) -> dict[str, int]:
  """Writes the graph store of a synthetic graph, in two streaming passes.

  A candidate edge joins v and v + d modulo the number of vertices, for `d`
  of a fixed set that is closed under negation; it is there where a hash of
  its ends lies below the activity of both. So a row is a function of its
  vertex, rows are symmetric without any exchange between them, and no row is
  longer than the set. Half of the offsets are multiples of one stride, which
  makes neighbours' neighbours adjacent as in a real graph; the others, and
  the stride itself, lead anywhere.

  Args:
    directory: gets `cache/graph/`.
    num_vertices: of the graph.

  Returns:
    Counts: entries, largest degree, isolated vertices.
  """
  made = described(num_vertices)
  offsets = _offsets(num_vertices)
  activity = _activity(np.arange(num_vertices))
  starts = range(0, num_vertices, _ROWS_AT_ONCE)
  with cache.building(
    directory, graph_store.CACHE, graph_store.key(made)
  ) as builder:
    indptr = builder.empty("indptr", (num_vertices + 1,), np.int64)
    for start in starts:
      _, kept = _rows(start, num_vertices, offsets, activity)
      indptr[start + 1 : start + 1 + len(kept)] = kept.sum(axis=1)
    largest = int(indptr.max())
    isolated = int(np.count_nonzero(indptr[1:] == 0))
    np.cumsum(indptr, out=indptr)
    indices = builder.empty("indices", (int(indptr[-1]),), np.int32)
    builder.empty("counts", (int(indptr[-1]),), np.int32)
    for start in starts:
      columns, kept = _rows(start, num_vertices, offsets, activity)
      stop = min(start + _ROWS_AT_ONCE, num_vertices)
      indices[indptr[start] : indptr[stop]] = columns[kept]
    graph_store.put_splits(builder, indptr, indices, made.splits)
  return {
    "entries": int(builder.arrays["indptr"][-1]),
    "largest_degree": largest,
    "isolated": isolated,
  }


def measure(directory: str, num_vertices: int) -> dict[str, Any]:
  """Opens a graph and samples from its training part.

  Args:
    directory: what `build` was given.
    num_vertices: of the graph.

  Returns:
    Seconds to start, triplets per CPU-second at first and once warm, with
    and without the table of allowed negatives, and resident bytes: all, and
    those of them that are no pages of the mapped files.
  """
  made = described(num_vertices)
  began = time.perf_counter()
  graph = graph_store.load(directory, made, types.SPLITS[0])
  opened = time.perf_counter()
  sampler = sampling.TripletSampler(
    graph,
    range(made.splits[types.SPLITS[0]]),
    batch_triplets=BATCH_TRIPLETS,
    random_negative_share=0.0,
    seed=0,
  )
  first = sampler.triplets(0)
  ready = time.perf_counter()
  cold = _rate(sampler, range(1, 1_001), with_allowed=True)
  _rate(sampler, range(1_001, _WARM_UP_STEPS), with_allowed=True)
  after = range(_WARM_UP_STEPS, _WARM_UP_STEPS + _MEASURED_STEPS)
  found = {
    "open_s": opened - began,
    "start_s": ready - began,
    "first_anchor": int(first[0, 0]),
    "cold_per_cpu_s": cold,
    "triplets_per_cpu_s": _rate(sampler, after, with_allowed=False),
    "with_allowed_per_cpu_s": _rate(sampler, after, with_allowed=True),
  }
  found["peak_bytes"] = measure_lib.peak_memory()
  return found | _memory()


def check(directory: str, num_vertices: int, num_checked: int) -> None:
  """Checks degrees, order and symmetry of randomly chosen rows.

  Raises:
    AssertionError: the graph is not what `build` promises.
  """
  graph = graph_store.load(directory, described(num_vertices))
  rng = np.random.default_rng(0)
  for vertex in rng.integers(0, num_vertices, num_checked).tolist():
    row = graph.neighbors(vertex)
    assert len(row) <= MAX_DEGREE
    assert (np.diff(row) > 0).all()
    for other in row.tolist():
      back = graph.neighbors(other)
      place = int(np.searchsorted(back, vertex))
      assert place < len(back)
      assert back[place] == vertex


def _rate(
  sampler: sampling.TripletSampler, steps: range, *, with_allowed: bool
) -> float:
  began = time.process_time()
  for step in steps:
    triplets = sampler.triplets(step)
    if with_allowed:
      sampler.negative_allowed(triplets)
  return len(steps) * BATCH_TRIPLETS / (time.process_time() - began)


def _memory() -> dict[str, int]:
  """Resident bytes of this process, and its anonymous ones."""
  found = {}
  with open("/proc/self/status") as file:
    for line in file:
      name, _, value = line.partition(":")
      if name in ("VmRSS", "RssAnon"):
        found[name] = int(value.split()[0]) * 1024
  return {
    "resident_bytes": found["VmRSS"],
    "resident_anonymous_bytes": found["RssAnon"],
  }


def _offsets(num_vertices: int) -> npt.NDArray[np.int64]:
  """The set of candidate neighbours of vertex 0, int64 [offsets]."""
  rng = np.random.default_rng(1)
  stride = num_vertices * 1000 // 2718
  near = np.arange(1, MAX_DEGREE // 4) * stride % num_vertices
  far = rng.integers(1, num_vertices, MAX_DEGREE // 4)
  some = np.concatenate([near, far])
  both = np.unique(np.concatenate([some, num_vertices - some]))
  return both[(both > 0) & (both < num_vertices)]


def _activity(vertices: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
  """How likely a vertex has an edge, in 2^-32: uint32 [vertices]."""
  draw = hashing.mix(vertices.astype(np.uint64)) >> np.uint64(40)
  share = draw.astype(np.float64) / (1 << 24)
  level = 0.1 + 0.9 * (share - _FULL) / (1.0 - _FULL - _ISOLATED)
  level[share < _FULL] = 1.0
  level[share >= 1.0 - _ISOLATED] = 0.0
  return (level * ((1 << 32) - 1)).astype(np.uint32)


def _rows(
  start: int,
  num_vertices: int,
  offsets: npt.NDArray[np.int64],
  activity: npt.NDArray[np.uint32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
  """Candidate neighbours of some vertices, sorted, and which of them hold."""
  stop = min(start + _ROWS_AT_ONCE, num_vertices)
  vertices = np.arange(start, stop, dtype=np.int64)[:, None]
  columns = vertices + offsets
  columns[columns >= num_vertices] -= num_vertices
  others = np.sort(columns.astype(np.int32), axis=1)
  low = np.minimum(others, vertices).astype(np.uint32)
  high = np.maximum(others, vertices).astype(np.uint32)
  draw = (low * np.uint32(0x9E3779B1)) ^ (high * np.uint32(0x85EBCA77))
  draw ^= draw >> np.uint32(15)
  draw *= np.uint32(0x2C1B3C6D)
  draw ^= draw >> np.uint32(13)
  # The least active end decides; `<` keeps nothing of the isolated.
  bound = np.minimum(activity[others], activity[start:stop, None])
  return others, draw < bound


def main() -> int:
  """Builds, or measures; prints one line of JSON."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("action", choices=("build", "measure"))
  parser.add_argument("--directory", required=True)
  parser.add_argument("--vertices", type=int, default=NUM_VERTICES)
  flags = parser.parse_args()
  if flags.action == "build":
    found: dict[str, Any] = build(flags.directory, flags.vertices)
    check(flags.directory, flags.vertices, 200)
  else:
    found = measure(flags.directory, flags.vertices)
  print(json.dumps(found))
  return 0


if __name__ == "__main__":
  sys.exit(main())
