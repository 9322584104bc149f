"""The engine of a cluster: Apache Spark."""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import tqdm

from music_embed.core import errors
from music_embed.data.engines import base

OLDEST_JAVA = 17
"""Oldest Java that PySpark 4 runs on."""

_MASTER = re.compile(
  r"yarn|(spark|k8s)://\S+|local(\[(\d+|\*)( *, *\d+)?\])?"
  r"|local-cluster\[ *\d+ *, *\d+ *, *\d+ *\]"
)
_PACKAGE = pathlib.Path(__file__).resolve().parents[2]
_POLL_S = 0.2
_QUIET_LOG = """\
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
logger.shell.name = org.apache.spark.api.python.PythonGatewayServer
logger.shell.level = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""


class SparkEngine(base.Engine):
  """Runs each task as a task of Spark.

  The package itself is shipped to the executors; what it depends on (numpy,
  scipy, soundfile ...) has to be installed there, for the interpreter that
  PYSPARK_PYTHON names (the driver's own path by default). Folders of inputs
  and outputs must be the same on all hosts.
  """

  name = "spark"

  def __init__(self, master: str | None) -> None:
    """Starts nothing yet.

    Args:
      master: Spark's master URL; what `spark-submit` was told by default.

    Raises:
      ConfigError: PySpark or Java is missing or too old, or the master is no
        URL of one.
    """
    if master and not _MASTER.fullmatch(master):
      raise errors.ConfigError(
        f"--spark_master={master}: must be spark://host:port, yarn, k8s://...,"
        " local[cores] or local-cluster[executors,cores,megabytes]"
      )
    require()
    self._master = master
    self._context: Any = None
    self._is_ours = False
    self._num_jobs = 0

  @property
  def context(self) -> Any:
    """The `pyspark.SparkContext`, started when first asked for.

    Raises:
      ConfigError: no master is known, or it cannot be reached.
    """
    if self._context is None:
      self._start()
    return self._context

  def map(
    self,
    function: Callable[[base.T], base.R],
    tasks: Iterable[base.T],
    *,
    description: str,
    unit: str = "task",
  ) -> list[base.R]:
    """See `base.Engine.map`."""
    todo = list(tasks)
    # Started before the bar: what the JVM prints would stand in its line.
    context = self.context if todo else None
    with tqdm.tqdm(desc=description, unit=unit, total=len(todo)) as bar:
      if not todo:
        return []
      run = functools.partial(base.attempt, function)
      job = _Job(context, f"{description} {self._num_jobs}", run, todo)
      self._num_jobs += 1
      outcomes = job.wait(bar)
      return [outcome.result() for outcome in outcomes]

  def close(self) -> None:
    """Stops Spark, unless it was running before."""
    if self._context is not None and self._is_ours:
      self._context.stop()
    self._context = None

  def _start(self) -> None:
    import pyspark

    self._is_ours = pyspark.SparkContext._active_spark_context is None
    if self._is_ours:
      tqdm.tqdm.write(
        f"starting Spark {self._master or '(as spark-submit says)'} ...",
        file=sys.stderr,
      )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
      self._context = pyspark.SparkContext.getOrCreate(
        _configuration(self._master)
      )
      if self._is_ours:
        self._context.setLogLevel("ERROR")
      _ship(self._context)
    except Exception as error:
      self._context = pyspark.SparkContext._active_spark_context
      self.close()
      raise errors.ConfigError(
        f"--spark_master={self._master or ''}: Spark does not start"
        f" ({first_line(error)}); is there such a master, and can this host"
        " reach it?"
      ) from error


def require() -> None:
  """Makes sure that Spark can be started here.

  Raises:
    ConfigError: PySpark or Java is missing or too old; says what to install.
  """
  try:
    import pyspark  # noqa: F401
  except ImportError as error:
    raise errors.ConfigError(
      "--engine=spark: PySpark is not installed; install music_embed[spark]"
    ) from error
  version = java_version()
  if version is None or version < OLDEST_JAVA:
    found = "none was found" if version is None else f"this is {version}"
    raise errors.ConfigError(
      f"--engine=spark: Spark needs Java {OLDEST_JAVA} or newer and {found};"
      " install it (Debian: openjdk-17-jre-headless) or set JAVA_HOME"
    )


def java_version() -> int | None:
  """Major version of the Java that Spark would use; None where missing."""
  home = os.environ.get("JAVA_HOME")
  java = os.path.join(home, "bin", "java") if home else shutil.which("java")
  if not java:
    return None
  try:
    said = subprocess.run(
      [java, "-version"], capture_output=True, text=True, check=True
    ).stderr
  except (OSError, subprocess.CalledProcessError):
    return None
  # Java 8 called itself 1.8.
  found = re.search(r'version "(?:1\.)?(\d+)', said)
  return int(found.group(1)) if found else None


class _Job:
  """One job, run beside the thread that shows its progress."""

  def __init__(
    self,
    context: Any,
    group: str,
    run: Callable[[Any], base.Outcome],
    tasks: list[Any],
  ) -> None:
    self._context, self._group = context, group
    self._run, self._tasks = run, tasks
    self._outcomes: list[base.Outcome] = []
    self._error: Exception | None = None

  def wait(self, bar: Any) -> list[base.Outcome]:
    import pyspark

    # Inheritable: job groups belong to threads.
    thread: threading.Thread = pyspark.InheritableThread(target=self._collect)
    thread.start()
    try:
      while thread.is_alive():
        thread.join(_POLL_S)
        if (completed := self._num_completed()) != bar.n:
          bar.update(completed - bar.n)
    except BaseException:
      self._context.cancelJobGroup(self._group)
      raise
    if self._error is not None:
      raise errors.MusicEmbedError(
        f"{bar.desc}: Spark gave the job up ({first_line(self._error)});"
        " its own messages are above. Are the master and its executors up?"
      ) from self._error
    bar.update(len(self._tasks) - bar.n)
    return self._outcomes

  def _collect(self) -> None:
    try:
      self._context.setJobGroup(self._group, self._group)
      spread = self._context.parallelize(self._tasks, len(self._tasks))
      self._outcomes = spread.map(self._run).collect()
    except Exception as error:
      self._error = error

  def _num_completed(self) -> int:
    tracker = self._context.statusTracker()
    completed = 0
    for job in tracker.getJobIdsForGroup(self._group):
      info = tracker.getJobInfo(job)
      for stage in info.stageIds if info else ():
        found = tracker.getStageInfo(stage)
        completed += found.numCompletedTasks if found else 0
    return min(completed, len(self._tasks))


def _configuration(master: str | None) -> Any:
  import pyspark

  log = os.path.join(_scratch(), "log4j2.properties")
  pathlib.Path(log).write_text(_QUIET_LOG, encoding="utf-8")
  conf = pyspark.SparkConf().setAppName("music_embed")
  if master:
    conf.setMaster(master)
  settings = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log}",
  }
  # Tasks are spread over cores already.
  for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    settings[f"spark.executorEnv.{name}"] = "1"
  for name, value in settings.items():
    conf.setIfMissing(name, value)
  return conf


def _ship(context: Any) -> None:
  """Sends this package to the executors, once for each application."""
  # A context refuses two files of one name.
  path = os.path.join(_scratch(), f"music_embed_{context.applicationId}.zip")
  if os.path.exists(path):
    return
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for source in sorted(_PACKAGE.rglob("*.py")):
      archive.write(source, source.relative_to(_PACKAGE.parent))
  context.addPyFile(path)


@functools.cache
def _scratch() -> str:
  """A folder of this process: executors fetch from it while it lives."""
  folder = tempfile.mkdtemp(prefix="music_embed_spark")
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  return folder


def first_line(error: Exception) -> str:
  """What Java's exceptions say, without their stack."""
  told = getattr(error, "java_exception", None)
  text = str(told.getMessage() if told is not None else error)
  return " ".join(text.strip().split("\n", 1)[0].split())[:300]
