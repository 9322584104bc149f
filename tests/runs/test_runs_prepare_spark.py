"""Preparing on a cluster of two Spark executors: the same bytes, whatever dies.

Needs Java; see `_require_spark` for what happens without it.
"""

import contextlib
import functools
import gzip
import operator
import os
import pathlib
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from music_embed.core import errors, files
from music_embed.data import engines
from music_embed.data.engines import spark
from music_embed.data.ingestion import options as options_lib
from music_embed.data.mining import graph_plan, splits, vocabulary
from music_embed.data.records import prepared
from music_embed.runs import prepare

_MASTER = "local-cluster[2,1,2048]"
_EXECUTOR = "CoarseGrainedExecutorBackend"
_SIZES = graph_plan.Sizes(
  events_per_task=400,
  entries_per_partition=2_000,
  pairs_per_task=20_000,
  vertices_per_chunk=3,
)


def _require_spark() -> None:
  """Skips without Java, but fails in continuous integration."""
  try:
    spark.require()
  except errors.ConfigError as error:
    if os.environ.get("CI"):
      pytest.fail(f"CI must run the Spark tests: {error}")
    warnings.warn(f"NOT TESTED: Spark ({error})", stacklevel=1)
    pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster() -> Iterator[engines.base.Engine]:
  _require_spark()
  with engines.create("spark", spark_master=_MASTER) as engine:
    assert isinstance(engine, spark.SparkEngine)
    assert engine.context.master == _MASTER
    yield engine


@pytest.fixture(scope="module")
def log(
  tiny_corpus: str, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
  """The corpus's log in four parts, with one broken row in a hundred."""
  folder = tmp_path_factory.mktemp("log")
  with gzip.open(f"{tiny_corpus}/listening_log.csv.gz", "rt") as file:
    header, *rows = file.read().splitlines()
  for number in range(0, len(rows), 100):
    rows[number] = ("not a row", ",,", rows[number] + ",,,")[number % 3]
  for part in range(4):
    lines = [header, *rows[part::4]]
    (folder / f"part-{part}.csv").write_text("\n".join(lines) + "\n")
  return folder


def _prepare(
  corpus: str, log: pathlib.Path, output: pathlib.Path, **arguments: Any
) -> dict[str, bytes]:
  prepare.prepare(
    recordings=f"{corpus}/recordings.csv",
    listening_log=str(log),
    output=str(output),
    split_options=splits.SplitOptions(0.2, 0.2),
    vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
    ingestion_options=options_lib.IngestionOptions(
      recordings_per_shard=2, vertices_per_shard=7
    ),
    **arguments,
  )
  return {
    str(path.relative_to(output)): path.read_bytes()
    for path in sorted(output.rglob("*"))
    if path.is_file()
  }


@pytest.fixture(scope="module")
def expected(
  tiny_corpus: str,
  log: pathlib.Path,
  tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, bytes]:
  """What the local engine writes."""
  output = tmp_path_factory.mktemp("local") / "dataset"
  return _prepare(tiny_corpus, log, output, num_workers=1)


def test_results_come_in_order_and_refusals_as_they_are(
  cluster: engines.base.Engine,
) -> None:
  triple = functools.partial(operator.mul, 3)
  tripled = cluster.map(triple, range(11), description="triple")
  assert tripled == [3 * number for number in range(11)]
  assert cluster.map(triple, [], description="nothing") == []
  missing = ["/nowhere/plan.json"]
  with pytest.raises(errors.DataError, match=r"plan\.json: no such file"):
    cluster.map(files.read_json, missing, description="plan")
  divide = functools.partial(operator.truediv, 1)
  with pytest.raises(RuntimeError, match="ZeroDivisionError"):
    cluster.map(divide, [1, 0], description="division")


def test_a_cluster_prepares_the_same_bytes(
  cluster: engines.base.Engine,
  tiny_corpus: str,
  log: pathlib.Path,
  expected: dict[str, bytes],
  tmp_path: pathlib.Path,
) -> None:
  output = tmp_path / "dataset"
  found = _prepare(tiny_corpus, log, output, engine="spark", graph_sizes=_SIZES)
  assert found.keys() == expected.keys()
  assert found == expected
  counts = prepared.PreparedDataset(str(output)).manifest.counts
  share = counts["log_rows_broken"] / counts["log_rows"]
  assert 0.009 < share < 0.011
  assert counts["edges"] > 0


def _executor() -> psutil.Process:
  """One of the cluster's executors, which are children of its driver."""
  for process in psutil.Process().children(recursive=True):
    with contextlib.suppress(psutil.Error):
      if _EXECUTOR in " ".join(process.cmdline()):
        return process
  raise AssertionError("no executor is running")


def test_a_killed_executor_changes_nothing(
  cluster: engines.base.Engine,
  tiny_corpus: str,
  log: pathlib.Path,
  expected: dict[str, bytes],
  tmp_path: pathlib.Path,
) -> None:
  output = tmp_path / "dataset"
  killed: list[int] = []

  def kill(phase: str) -> None:
    """Kills an executor once a task of the phase has been done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
      if any((output / ".prepare").glob(phase)):
        executor = _executor()
        killed.append(executor.pid)
        executor.kill()
        return
      time.sleep(0.002)

  def kill_twice() -> None:
    kill("train.tfrecord*.json")
    kill("graph/pairs.done/*.json")

  killer = threading.Thread(target=kill_twice, daemon=True)
  killer.start()
  found = _prepare(tiny_corpus, log, output, engine="spark", graph_sizes=_SIZES)
  killer.join()
  assert len(set(killed)) == 2
  assert found == expected


def test_a_log_that_is_refused_on_a_cluster_leaves_nothing_behind(
  cluster: engines.base.Engine, tiny_corpus: str, tmp_path: pathlib.Path
) -> None:
  log = tmp_path / "log.csv"
  log.write_text("user_id,recording_id\n" + "broken\n" * 100)
  output = tmp_path / "dataset"
  with pytest.raises(errors.DataError, match="100 of 100 rows cannot be used"):
    _prepare(tiny_corpus, log, output, engine="spark")
  assert not output.exists()


def test_a_spark_that_cannot_start_says_what_is_missing(
  monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
  pytest.importorskip("pyspark")
  java = tmp_path / "bin" / "java"
  java.parent.mkdir()
  monkeypatch.setenv("JAVA_HOME", str(tmp_path))
  with pytest.raises(errors.ConfigError, match="Java 17 .* none was found"):
    engines.create("spark")
  java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
  java.chmod(0o755)
  with pytest.raises(errors.ConfigError, match="this is 11"):
    engines.create("spark")
  java.write_text("#!/bin/sh\necho 'java version \"1.8.0_292\"' >&2\n")
  assert spark.java_version() == 8


@pytest.mark.parametrize(
  "master", ["dask", "local-cluster[2,1", "spark:/host", "local[two]"]
)
def test_a_master_that_is_none_is_named_before_java_starts(master: str) -> None:
  with pytest.raises(errors.ConfigError, match="must be spark://host:port"):
    engines.create("spark", spark_master=master)
