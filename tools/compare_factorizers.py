"""Compares the factorisations of a dataset's co-listen graph.

  tools/compare_factorizers.py --dataset=demo/dataset \
    [--spark_master=local[2]] [--num_factors=16,64] [--split=evaluation]

Both factorise the whole graph, as the WMF row of a report does. Of all pairs
of a part's recordings (a draw of 2,500 where there are more), the table says
how well the cosine of the vectors finds those that are listened to together.
Seconds are wall-clock time, Spark's without its start.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from music_embed.core import errors, types  # noqa: E402
from music_embed.data import engines  # noqa: E402
from music_embed.data.engines import spark  # noqa: E402
from music_embed.data.mining import factorize  # noqa: E402
from music_embed.data.records import prepared  # noqa: E402
from music_embed.evaluation import link_prediction  # noqa: E402

_COLUMNS = "{:<10} {:>7} {:>8} {:>8} {:>9}"


def main(arguments: Sequence[str] | None = None) -> int:
  """Parses the flags and prints the table; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--dataset", required=True)
  parser.add_argument("--spark_master", default="local[2]")
  parser.add_argument("--num_factors", default="16,64")
  parser.add_argument("--iterations", type=int, default=15)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--split", choices=types.SPLITS, default="evaluation")
  parser.add_argument(
    "--scratch", help="a folder that executors see, too; temporary by default"
  )
  flags = parser.parse_args(arguments)
  try:
    _compare(flags)
  except errors.ConfigError as error:
    print(f"error: {error}", file=sys.stderr)
    return 2
  except errors.MusicEmbedError as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _compare(flags: argparse.Namespace) -> None:
  data = prepared.PreparedDataset(flags.dataset)
  inside = data.split_range(flags.split)
  recordings = np.arange(inside.start, inside.stop)
  pool = link_prediction.graph_pairs(
    data.graph(flags.split).pairs_among(recordings), len(recordings)
  )
  graph = data.graph(None)
  print(
    f"{graph.num_vertices:,} recordings, {graph.num_edges:,} edges; ranked:"
    f" {pool.note}, prevalence {pool.prevalence:.4f}"
  )
  print(_COLUMNS.format("", "factors", "link AP", "link AUC", "seconds"))
  with (
    engines.create("spark", spark_master=flags.spark_master) as engine,
    tempfile.TemporaryDirectory(dir=flags.scratch) as folder,
  ):
    assert isinstance(engine, spark.SparkEngine)
    engine.context.setLogLevel("ERROR")  # Starts Spark before the clock.
    candidates: dict[str, factorize.Factorizer] = {
      "implicit": factorize.factorize,
      "spark": factorize.on(engine, f"{folder}/factors"),
    }
    for num_factors in map(int, flags.num_factors.split(",")):
      for name, candidate in candidates.items():
        began = time.monotonic()
        vectors = candidate(
          graph,
          num_factors=num_factors,
          iterations=flags.iterations,
          seed=flags.seed,
        )
        seconds = time.monotonic() - began
        found = link_prediction.measure(pool, vectors[recordings])
        print(
          _COLUMNS.format(
            name,
            num_factors,
            f"{found.ap:.3f}",
            f"{found.auc:.3f}",
            f"{seconds:.1f}",
          ),
          flush=True,
        )


if __name__ == "__main__":
  sys.exit(main())
