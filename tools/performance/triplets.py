"""Triplets per CPU-second, on a graph of a million recordings and on ten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import numpy as np

from music_embed.data.mining import graph as graph_lib
from music_embed.data.pipeline import sampling
from tools.performance import big_graph, datasets, measure

_VERTICES = 1_000_000
_MEAN_DEGREE = 49
_BATCH = 132
_ROUNDS = 3
_PLAIN = "numpy, one triplet at a time"


def figures(scratch: str) -> list[measure.Figure]:
  """Rates beside plain numpy, and what a graph of the paper's size takes."""
  graph = datasets.random_graph(
    np.random.default_rng(0), _VERTICES, _MEAN_DEGREE
  )
  rates = measure.side_by_side({"ours": _ours(graph), "plain": _plain(graph)})
  del graph
  return [
    measure.Figure.beside(
      "triplets", rates["ours"], "1/CPU-s", _PLAIN, rates["plain"]
    ),
    *_big(os.path.join(scratch, "big_graph"), rates["ours"]),
  ]


def _big(folder: str, rate: float) -> list[measure.Figure]:
  arguments = [f"--directory={folder}"]
  measure.say(f"building a graph of {big_graph.NUM_VERTICES:,} recordings ...")
  built = measure.run_apart(big_graph.__name__, ["build", *arguments]).result
  runs = [
    measure.run_apart(big_graph.__name__, ["measure", *arguments]).result
    for _ in range(_ROUNDS)
  ]
  shutil.rmtree(folder)

  def median(name: str) -> float:
    return float(np.median([run[name] for run in runs]))

  small = f"{_VERTICES:,} recordings"
  return [
    measure.Figure.beside(
      "big_graph_triplets",
      median("triplets_per_cpu_s"),
      "1/CPU-s",
      small,
      rate,
    ),
    measure.Figure.beside(
      "big_graph_triplets_with_allowed_negatives",
      median("with_allowed_per_cpu_s"),
      "1/CPU-s",
      small,
      rate,
    ),
    measure.Figure.beside(
      "big_graph_triplets_cold",
      median("cold_per_cpu_s"),
      "1/CPU-s",
      small,
      rate,
    ),
    measure.Figure("big_graph_start", median("start_s"), "s"),
    measure.Figure(
      "big_graph_resident",
      median("resident_bytes") / 1e9,
      "GB",
      "of it not the mapped file",
      median("resident_anonymous_bytes") / 1e9,
    ),
    measure.Figure("big_graph_entries", built["entries"] / 1e9, "G"),
  ]


def _ours(graph: graph_lib.Graph) -> Callable[[], int]:
  sampler = sampling.TripletSampler(
    graph,
    range(graph.num_vertices),
    batch_triplets=_BATCH,
    random_negative_share=0.0,
    seed=0,
  )
  steps = iter(range(1 << 40))

  def draw() -> int:
    sampler.triplets(next(steps))
    return _BATCH

  return draw


def _plain(graph: graph_lib.Graph) -> Callable[[], int]:
  """The definition, written down: no batches, no bisection, no candidates."""
  rng = np.random.default_rng(0)
  anchors = np.flatnonzero(graph.degrees)

  def draw() -> int:
    for _ in range(_BATCH):
      anchor = int(anchors[rng.integers(len(anchors))])
      row = graph.neighbors(anchor)
      positive = int(row[rng.integers(len(row))])
      rest = np.setdiff1d(graph.neighbors(positive), row)
      rest = rest[rest != anchor]
      if len(rest):
        rest[rng.integers(len(rest))]
    return _BATCH

  return draw
