"""Sampling from a graph of the paper's size, memory-mapped."""

from __future__ import annotations

import os

from tools.performance import measure

_MODULE = "tools.performance.big_graph"


def figures(scratch: str) -> list[measure.Figure]:
  """Start-up, triplets per CPU-second and memory, against what is asked."""
  directory = os.path.join(scratch, "big_graph")
  arguments = ("--directory", directory)
  built = measure.run_apart(_MODULE, ("build", *arguments))
  measure.say(
    f"{built.result['entries']:,} entries, built in {built.wall_s:.0f} s"
  )
  found = measure.run_apart(_MODULE, ("measure", *arguments)).result
  at_least, at_most = "at least", "at most"
  gigabyte = 1e9
  return [
    measure.Figure(
      "graph_entries", built.result["entries"], "entries, 10.5 M vertices"
    ),
    measure.Figure.beside(
      "graph_start_up", found["start_s"], "s", at_most, 5.0
    ),
    measure.Figure.beside(
      "graph_triplets",
      found["triplets_per_cpu_s"],
      "1/CPU-s",
      at_least,
      150_000.0,
    ),
    measure.Figure.beside(
      "graph_triplets_with_allowed_negatives",
      found["with_allowed_per_cpu_s"],
      "1/CPU-s",
      at_least,
      150_000.0,
    ),
    measure.Figure("graph_triplets_cold", found["cold_per_cpu_s"], "1/CPU-s"),
    measure.Figure(
      "graph_resident_own",
      found["resident_anonymous_bytes"] / gigabyte,
      "GB of the process's own",
    ),
    measure.Figure(
      "graph_resident_mapped",
      (found["resident_bytes"] - found["resident_anonymous_bytes"]) / gigabyte,
      "GB of mapped files, which the kernel may take back",
    ),
  ]
