"""Factorises the co-listen graph: a vector for each recording.

  launch/factorize.py --dataset=demo/dataset --output=demo/factors \
    [--gin_file=gin/systems/huang2020/factorize.gin] [--engine=spark]

The edges among training recordings are factorised and the other recordings
folded in; --gin_param="GRAPH = 'all'" on top of the gin file factorises every
edge. Says what memory it needs before it starts.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_DATASET = flags.DEFINE_string(
  "dataset", None, "Directory that prepare.py wrote.", required=True
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory of the vectors.", required=True
)
_ENGINE = flags.DEFINE_enum(
  "engine", "local", ["local", "spark"], "What factorises the graph."
)
_SPARK_MASTER = flags.DEFINE_string(
  "spark_master", None, "Where Spark runs, e.g. local-cluster[2,1,2048]."
)
_NUM_THREADS = flags.DEFINE_integer(
  "num_threads", None, "Of this process; as many as cores if unset.", 1
)
cli.define_gin_flags()


def main() -> None:
  """Reads the configuration and factorises."""
  from music_embed.runs import config, factorize

  given = {
    "dataset": _DATASET.value,
    "output": _OUTPUT.value,
    "engine": _ENGINE.value,
    "spark_master": _SPARK_MASTER.value,
    "num_threads": _NUM_THREADS.value,
  }
  configured = config.load(
    factorize.factorize,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=tuple(given),
  )
  factorize.factorize(**given, **configured.arguments)


if __name__ == "__main__":
  cli.run(main)
