"""Factorising and clustering a graph of a million recordings.

  tools/perf.py senses --only=factorization
  python -m tools.performance.factorization graph --folder=DIR \
    [--recordings=N] [--edges=N]
  python -m tools.performance.factorization als --folder=DIR [--rounds=N]

Each step is a process of its own, so that its peak memory is its own.

What the paper's catalogue (10.5 M recordings, 250 neighbours each) would need
is extrapolated: memory by `factorize.memory_bytes`; the CPU time of a round
by `a e + b n` for e entries (two an edge) and n vertices, both solved from
graphs of the same vertices and of all or a fifth of the edges. (With f
factors, implicit's three steps of conjugate gradients cost e f + n f^2 a
step; folding in solves exactly, e f^2 + n f^3.)
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import seeds
from music_embed.data.mining import clusters, factorize, fold_in
from music_embed.data.mining import graph as graph_lib
from tools.performance import measure

PAPER_RECORDINGS, PAPER_NEIGHBORS = 10_500_000, 250
_NUM_FACTORS, _ROUNDS, _THIN_ROUNDS = 64, 15, 3
_THINNER = 5
_NUM_CLUSTERS = 200
_NUM_COMMUNITIES = 2_000
_COMMUNITIES_A_GROUP = 10
_SHARES = (0.6, 0.25)
"""Of the edges: within a community, within a group of communities; the rest
leads anywhere."""
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Size:
  """Of the graph that is factorised.

  Attributes:
    recordings: vertices.
    edges: undirected.
    folded_in: vertices to fold in afterwards.
  """

  recordings: int = 1_000_000
  edges: int = 25_000_000
  folded_in: int = 50_000


def figures(scratch: str, size: Size | None = None) -> list[measure.Figure]:
  """Times, peak memory, and what they come to at the paper's size.

  Args:
    scratch: some 600 MB of files lie there meanwhile.
    size: of the graph; a million recordings by default.
  """
  size = size or Size()
  folder, thin = (os.path.join(scratch, name) for name in ("whole", "thin"))
  _run("graph", folder, recordings=size.recordings, edges=size.edges)
  whole = _run("als", folder, rounds=_ROUNDS)
  folded = _run("fold_in", folder, vertices=size.folded_in)
  by_faiss = _run("faiss", folder)
  by_batches = _run("minibatch", folder)
  fewer = size.edges // _THINNER
  _run("graph", thin, recordings=size.recordings, edges=fewer)
  thinner = _run("als", thin, rounds=_THIN_ROUNDS)
  formula = factorize.memory_bytes(
    size.recordings, whole["entries"], _NUM_FACTORS
  )
  return [
    measure.Figure("factorization_wall", whole["wall_s"], "s"),
    measure.Figure("factorization_cpu", whole["cpu_s"], "CPU-s"),
    measure.Figure.beside(
      "factorization_peak",
      whole["peak_bytes"] / 1e9,
      "GB",
      "formula, without program and graph",
      formula / 1e9,
    ),
    measure.Figure(
      "fold_in_cpu_of_1000", 1e3 * folded["cpu_s"] / folded["vertices"], "CPU-s"
    ),
    *(
      measure.Figure.beside(
        f"clusters_faiss_{name}",
        by_faiss[key] / unit,
        unit_name,
        "MiniBatchKMeans",
        by_batches[key] / unit,
      )
      for name, key, unit, unit_name in (
        ("wall", "wall_s", 1, "s"),
        ("cpu", "cpu_s", 1, "CPU-s"),
        ("peak", "peak_bytes", 1e9, "GB"),
        ("mean_cosine", "mean_cosine", 1, "to the centre"),
        ("purity", "purity", 1, "of communities' groups"),
      )
    ),
    *_extrapolated(whole, thinner, by_faiss),
  ]


def _extrapolated(
  whole: dict[str, Any], thinner: dict[str, Any], clustered: dict[str, Any]
) -> list[measure.Figure]:
  """Of the paper's catalogue: CPU-hours and memory."""
  entries = PAPER_RECORDINGS * PAPER_NEIGHBORS
  rounds = [run["cpu_s"] / run["rounds"] for run in (whole, thinner)]
  apart = whole["entries"] - thinner["entries"]
  an_entry = (rounds[0] - rounds[1]) / apart
  a_vertex = (rounds[0] - an_entry * whole["entries"]) / whole["vertices"]
  # Noise may give one of them what is the other's: neither is below nothing.
  if min(an_entry, a_vertex) < 0:
    an_entry, a_vertex = rounds[0] / whole["entries"], 0.0
  a_round = an_entry * entries + a_vertex * PAPER_RECORDINGS
  need = factorize.memory_bytes(PAPER_RECORDINGS, entries, _NUM_FACTORS)
  larger = PAPER_RECORDINGS / whole["vertices"]
  return [
    measure.Figure("als_cpu_of_an_entry_and_round", 1e6 * an_entry, "us"),
    measure.Figure("als_cpu_of_a_vertex_and_round", 1e6 * a_vertex, "us"),
    measure.Figure(
      "paper_factorization_cpu", _ROUNDS * a_round / 3600, "CPU-hours"
    ),
    measure.Figure("paper_factorization_memory", need / 1e9, "GB"),
    measure.Figure(
      "paper_clusters_faiss_cpu", larger * clustered["cpu_s"] / 60, "CPU-min"
    ),
  ]


def draw(size: Size) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
  """A graph of communities within groups.

  Returns:
    indptr int64 [recordings + 1] and int32 [2 x edges], rows sorted; vertex
    v is of community `v % 2000`, of group `v % 2000 // 10`.
  """
  random = seeds.generator(_SEED, "performance/factorization")
  n = size.recordings
  keys = np.zeros(0, np.int64)
  while len(keys) < size.edges:
    some = _pairs(random, n, size.edges - len(keys) + size.edges // 20)
    keys = np.sort(np.concatenate([keys, some]))
    keys = keys[np.diff(keys, prepend=-1) > 0]
  keys = np.delete(
    keys, random.choice(len(keys), len(keys) - size.edges, replace=False)
  )
  low, high = np.divmod(keys, n)
  entries = np.sort(np.concatenate([keys, high * n + low]))
  indptr = np.searchsorted(entries, np.arange(n + 1) * n)
  return indptr.astype(np.int64), (entries % n).astype(np.int32)


def _pairs(
  random: np.random.Generator, n: int, number: int
) -> npt.NDArray[Any]:
  """Keys `low * n + high` of randomly drawn edges, some of them twice."""
  first, other = random.integers(0, n, (2, number))
  kind = random.random(number)
  community = first % _NUM_COMMUNITIES
  group = community - community % _COMMUNITIES_A_GROUP
  near = group + random.integers(0, _COMMUNITIES_A_GROUP, number)
  target = np.where(kind < _SHARES[0], community, near)
  inside = other - other % _NUM_COMMUNITIES + target
  second = np.where(kind < sum(_SHARES), inside, other)
  low, high = np.minimum(first, second), np.maximum(first, second)
  kept = (low < high) & (high < n)
  return low[kept] * n + high[kept]


def _graph(folder: str) -> graph_lib.Graph:
  indptr, indices = (
    np.load(os.path.join(folder, f"{name}.npy"), mmap_mode="r")
    for name in ("indptr", "indices")
  )
  return graph_lib.Graph.from_csr(indptr, indices, indices)


def _num_threads() -> int:
  return len(os.sched_getaffinity(0))


def _make_graph(flags: argparse.Namespace) -> dict[str, Any]:
  indptr, indices = draw(Size(flags.recordings, flags.edges))
  os.makedirs(flags.folder, exist_ok=True)
  np.save(os.path.join(flags.folder, "indptr.npy"), indptr)
  np.save(os.path.join(flags.folder, "indices.npy"), indices)
  return {"largest_degree": int(np.diff(indptr).max())}


def _make_factors(flags: argparse.Namespace) -> dict[str, Any]:
  graph = _graph(flags.folder)
  sides = factorize.sides(
    graph,
    num_factors=_NUM_FACTORS,
    iterations=flags.rounds,
    seed=_SEED,
    num_threads=_num_threads(),
    say=measure.say,
  )
  np.save(os.path.join(flags.folder, "vectors.npy"), sides.vectors)
  np.save(os.path.join(flags.folder, "other.npy"), sides.other)
  return {
    "vertices": graph.num_vertices,
    "entries": int(graph.degrees.sum()),
    "rounds": flags.rounds,
  }


def _make_folded(flags: argparse.Namespace) -> dict[str, Any]:
  graph = _graph(flags.folder)
  other = np.load(os.path.join(flags.folder, "other.npy"))
  fold_in.fold_in(
    graph,
    np.arange(flags.vertices),
    other,
    known=range(graph.num_vertices),
    num_threads=_num_threads(),
  )
  return {"vertices": flags.vertices}


def _make_clusters(flags: argparse.Namespace) -> dict[str, Any]:
  vectors = np.load(os.path.join(flags.folder, "vectors.npy"), mmap_mode="r")
  above = 0 if flags.step == "faiss" else len(vectors)
  found = clusters.clusters(
    vectors,
    num_clusters=min(_NUM_CLUSTERS, len(vectors) // 100),
    fit_rows=range(len(vectors)),
    seed=_SEED,
    options=clusters.ClusterOptions(faiss_above=above),
  )
  return _quality(vectors, found)


def _quality(
  vectors: npt.NDArray[Any], found: npt.NDArray[Any]
) -> dict[str, float]:
  """How close clusters are, and how well they are groups of communities."""
  unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  order = np.argsort(found, kind="stable")
  starts = np.searchsorted(found[order], np.arange(found.max() + 1))
  sums = np.add.reduceat(unit[order], starts, axis=0)
  centers = sums / np.linalg.norm(sums, axis=1, keepdims=True)
  cosine = np.einsum("vf,vf->v", unit, centers[found])
  group = np.arange(len(found)) % _NUM_COMMUNITIES // _COMMUNITIES_A_GROUP
  counts = np.zeros((len(starts), group.max() + 1), np.int64)
  np.add.at(counts, (found, group), 1)
  return {
    "mean_cosine": float(cosine.mean()),
    "purity": float(counts.max(axis=1).sum() / len(found)),
  }


_STEPS = {
  "graph": _make_graph,
  "als": _make_factors,
  "fold_in": _make_folded,
  "faiss": _make_clusters,
  "minibatch": _make_clusters,
}


def _run(step: str, folder: str, **settings: int) -> dict[str, Any]:
  """A step in a process of its own: what it printed."""
  given = [f"--{name}={value}" for name, value in settings.items()]
  found: dict[str, Any] = measure.run_apart(
    __name__, [step, f"--folder={folder}", *given]
  ).result
  measure.say(
    f"  {step}: {found['wall_s']:.1f} s, {found['cpu_s']:.1f} CPU-s,"
    f" {found['peak_bytes'] / 1e9:.2f} GB"
  )
  return found


def main() -> int:
  """Does one step; prints one line of JSON."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("step", choices=sorted(_STEPS))
  parser.add_argument("--folder", required=True)
  parser.add_argument("--recordings", type=int, default=Size.recordings)
  parser.add_argument("--edges", type=int, default=Size.edges)
  parser.add_argument("--rounds", type=int, default=_ROUNDS)
  parser.add_argument("--vertices", type=int, default=Size.folded_in)
  flags = parser.parse_args()
  wall, cpu = time.monotonic(), time.process_time()
  found = _STEPS[flags.step](flags) | {
    "wall_s": time.monotonic() - wall,
    "cpu_s": time.process_time() - cpu,
    "peak_bytes": measure.peak_memory(),
  }
  print(json.dumps(found))
  return 0


if __name__ == "__main__":
  sys.exit(main())
