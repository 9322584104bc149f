"""Prepares a dataset: tables and audio files in, shards out.

  launch/prepare.py --recordings=corpus/recordings.csv \
    --listening_log=corpus/listening.csv.gz --output=dataset

The same command goes on where an interrupted run stopped.
"""

from __future__ import annotations

from music_embed.runs import cli

from absl import flags  # isort: skip

_RECORDINGS = flags.DEFINE_string(
  "recordings",
  None,
  "Recordings table: csv, tsv, jsonl (each also .gz) or parquet.",
  required=True,
)
_LISTENING_LOG = flags.DEFINE_string(
  "listening_log",
  None,
  "Listening log, in one of the same formats: a file, folder or glob pattern.",
  required=True,
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory of the dataset.", required=True
)
_ENGINE = flags.DEFINE_enum(
  "engine", "local", ["local", "spark"], "What runs the tasks."
)
_NUM_WORKERS = flags.DEFINE_integer(
  "num_workers",
  None,
  "Processes of the local engine; one for each core if unset.",
  1,
)
_SPARK_MASTER = flags.DEFINE_string(
  "spark_master", None, "Where Spark runs, e.g. local-cluster[2,1,2048]."
)
cli.define_gin_flags()


def main() -> None:
  """Reads the configuration and prepares."""
  from music_embed.runs import config, prepare

  given = (
    "recordings",
    "listening_log",
    "output",
    "engine",
    "num_workers",
    "spark_master",
  )
  configured = config.load(
    prepare.prepare,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=given,
  )
  prepare.prepare(
    recordings=_RECORDINGS.value,
    listening_log=_LISTENING_LOG.value,
    output=_OUTPUT.value,
    engine=_ENGINE.value,
    num_workers=_NUM_WORKERS.value,
    spark_master=_SPARK_MASTER.value,
    **configured.arguments,
  )


if __name__ == "__main__":
  cli.run(main)
