"""Engines: what runs the tasks of a job, on this machine or on a cluster."""

from __future__ import annotations

import os

from music_embed.core import errors
from music_embed.data.engines import base, local

NAMES = ("local", "spark")
"""Engines that there are."""


def create(
  name: str = "local",
  *,
  num_workers: int | None = None,
  spark_master: str | None = None,
) -> base.Engine:
  """Makes an engine; nothing is started before its first job.

  Args:
    name: one of `NAMES`.
    num_workers: processes of the local engine; as many as cores by default.
    spark_master: where Spark's engine runs, e.g. `spark://host:7077`, `yarn`
      or `local-cluster[2,1,2048]`; what `spark-submit` says by default.

  Returns:
    The engine, a context manager.

  Raises:
    ConfigError: there is no such engine, what it needs is not installed, or
      a master is given to another engine.
  """
  if name not in NAMES:
    raise errors.ConfigError(
      f"--engine={name}: must be one of {', '.join(NAMES)}"
    )
  if name == "local":
    if spark_master:
      raise errors.ConfigError(
        f"--spark_master={spark_master}: only with --engine=spark"
      )
    return local.LocalEngine(num_workers or len(os.sched_getaffinity(0)))
  from music_embed.data.engines import spark  # Imports nothing of Spark yet.

  return spark.SparkEngine(spark_master)
