"""Factorises a dataset's co-listen graph: `launch/factorize.py`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from music_embed.core import errors, files
from music_embed.data import engines
from music_embed.data.mining import factorize as factorize_lib
from music_embed.data.mining import factors as factors_lib
from music_embed.data.mining import fold_in
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import prepared
from music_embed.evaluation import link_prediction, metrics
from music_embed.evaluation.arrays import Array

GRAPHS = ("train", "all")
"""What may be factorised."""

_SPARK_FOLDER = ".factors"


def factorize(
  *,
  dataset: str,
  output: str,
  num_factors: int | Sequence[int] = (8, 16, 32, 64),
  graph: str = "train",
  iterations: int = 15,
  regularization: float = 0.01,
  alpha: float = 10.0,
  seed: int = 0,
  engine: str = "local",
  spark_master: str | None = None,
  num_threads: int | None = None,
) -> factors_lib.Factors:
  """Writes a vector for every recording that has listeners in common.

  A finished artefact of the same arguments is passed over. With the local
  engine the same arguments give the same bytes.

  Args:
    dataset: directory that `launch/prepare.py` wrote.
    output: directory of the artefact, see `data.mining.factors`.
    num_factors: dimensions of a vector; of several the validation part
      chooses, by the AP of its own pairs.
    graph: "train" factorises the edges among training recordings, and folds
      the others in by their edges to these; "all" factorises every edge:
      the bound that networks are compared with, of no use to training.
    iterations: rounds of alternating least squares.
    regularization: l2 penalty of the factors.
    alpha: confidence of an edge; that of a missing one is 1.
    seed: of the initial factors.
    engine: "local" (implicit) or "spark".
    spark_master: where Spark runs; `output` is then the same on all hosts.
    num_threads: of the local engine, all cores by default; without influence
      on the result.

  Returns:
    What was written.

  Raises:
    ConfigError: a number or name makes no sense, or there is nothing to
      choose `num_factors` by.
    DataError: the dataset cannot be used, or its graph has no edges.
  """
  files.require_local(output, "output")
  sizes = [num_factors] if isinstance(num_factors, int) else list(num_factors)
  _check(sizes, graph, iterations)
  runner = engines.create(engine, spark_master=spark_master)
  data = prepared.PreparedDataset(dataset)
  source = data.graph("train" if graph == "train" else None)
  _check_graph(data, source, sizes)
  settings: dict[str, Any] = {
    "graph": graph,
    "iterations": iterations,
    "regularization": regularization,
    "alpha": alpha,
    "seed": seed,
    "engine": engine,
  }
  inputs = settings | {"dataset": data.fingerprint, "offered": sizes}
  files.make_dirs(output)
  with files.exclusive(files.join(output, ".lock"), output), runner:
    done = factors_lib.finished(output, inputs)
    if done is not None:
      _say(f"{output}: already factorised")
      _print_table(done.metadata)
      return done
    files.remove_leftovers(output)
    _say_need(source, graph, max(sizes))
    solver = _Solver(
      data,
      source,
      settings,
      factorize_lib.sides_on(
        runner,
        files.join(output, _SPARK_FOLDER),
        num_threads=num_threads or _num_cores(),
        say=_say,
      ),
      num_threads or _num_cores(),
    )
    sides, table = _best(solver, sizes, _validation_pool(data, sizes))
    found = {"num_factors": sides.vectors.shape[1], "validation": table}
    factors_lib.write(output, sides.vectors, sides.other, inputs | found)
  made = factors_lib.load(output, data.fingerprint)
  _say(
    f"{output}: vectors of {np.count_nonzero(made.has_vertex):,} of"
    f" {len(made.vectors):,} recordings; the others have no edge that counts"
  )
  _print_table(made.metadata)
  return made


@dataclasses.dataclass(frozen=True)
class _Solver:
  """Gives every recording a vector."""

  data: prepared.PreparedDataset
  graph: graph_lib.Graph
  settings: Mapping[str, Any]
  sides: Callable[..., factorize_lib.Sides]
  num_threads: int

  def __call__(self, num_factors: int) -> factorize_lib.Sides:
    how = {key: self.settings[key] for key in ("regularization", "alpha")}
    _say(f"factorising, {num_factors} factors")
    sides = self.sides(
      self.graph,
      num_factors=num_factors,
      iterations=self.settings["iterations"],
      seed=self.settings["seed"],
      **how,
    )
    if self.settings["graph"] == "train":
      known = self.data.split_range("train")
      sides.vectors[known.stop :] = fold_in.fold_in(
        self.data.graph(None),
        np.arange(known.stop, self.data.num_recordings),
        sides.other,
        known=known,
        num_threads=self.num_threads,
        **how,
      )
    return sides


def _best(
  solve: Callable[[int], factorize_lib.Sides],
  sizes: Sequence[int],
  pool: Callable[[Array], metrics.Measures] | None,
) -> tuple[factorize_lib.Sides, list[dict[str, Any]]]:
  """The sides with the best AP, and what all came to; the first of equals."""
  best, highest, table = None, -np.inf, []
  for size in sizes:
    sides = solve(size)
    found = pool(sides.vectors) if pool else None
    if best is None or (found and found.ap > highest):
      best, highest = sides, found.ap if found else highest
    if found:
      table.append({"num_factors": size, "ap": found.ap, "auc": found.auc})
  assert best is not None  # There is at least one size.
  return best, table


def _validation_pool(
  data: prepared.PreparedDataset, sizes: Sequence[int]
) -> Callable[[Array], metrics.Measures] | None:
  """Measures vectors of all recordings by the pairs of the validation part.

  Raises:
    ConfigError: it has none, and there is something to choose.
  """
  part = data.split_range("validation")
  recordings = np.arange(part.start, part.stop)
  pool = link_prediction.graph_pairs(
    data.graph("validation").pairs_among(recordings), len(recordings)
  )
  if pool.is_decidable:
    return lambda vectors: link_prediction.measure(pool, vectors[recordings])
  if len(sizes) > 1:
    raise errors.ConfigError(
      f"{data.directory}: its validation part has no edges to choose"
      f" num_factors={list(sizes)} by: give one number"
    )
  return None


def _check(sizes: Sequence[int], graph: str, iterations: int) -> None:
  if graph not in GRAPHS:
    raise errors.ConfigError(
      f'factorize.graph={graph!r}: must be "train" or "all"'
    )
  if not sizes:
    raise errors.ConfigError("factorize.num_factors is empty: name one or more")
  for name, value in (("num_factors", min(sizes)), ("iterations", iterations)):
    if value < 1:
      raise errors.ConfigError(f"factorize.{name}={value}: must be at least 1")


def _check_graph(
  data: prepared.PreparedDataset, graph: graph_lib.Graph, sizes: Sequence[int]
) -> None:
  num_vertices = int(np.count_nonzero(graph.degrees))
  if not num_vertices:
    raise errors.DataError(
      f"{data.directory}: the graph has no edges to factorise: prepare the"
      " dataset from more listening, or with a smaller GraphOptions.tau"
    )
  if max(sizes) > num_vertices:
    raise errors.ConfigError(
      f"factorize.num_factors={max(sizes)}: only {num_vertices:,} recordings"
      " have edges; take at most as many factors"
    )


def _say_need(graph: graph_lib.Graph, name: str, num_factors: int) -> None:
  entries = int(graph.degrees.sum())
  need = factorize_lib.memory_bytes(graph.num_vertices, entries, num_factors)
  million = need / graph.num_vertices * 1e6
  _say(
    f"{graph.num_vertices:,} recordings, {entries // 2:,} edges (graph:"
    f" {name}): {num_factors} factors need {need / 1e6:,.0f} MB of memory,"
    f" {million / 1e9:.1f} GB per million recordings"
  )


def _print_table(metadata: Mapping[str, Any]) -> None:
  """What the validation part says, on stdout; marks the choice."""
  if not metadata["validation"]:
    return
  print("factors  link AP  link AUC   (validation part)")
  for row in metadata["validation"]:
    chosen = row["num_factors"] == metadata["num_factors"]
    print(
      f"{row['num_factors']:>7}  {row['ap']:>7.4f}  {row['auc']:>8.4f}"
      + ("   <- chosen" if chosen and len(metadata["validation"]) > 1 else "")
    )
  sys.stdout.flush()


def _num_cores() -> int:
  return len(os.sched_getaffinity(0))


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
