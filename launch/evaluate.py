"""Evaluates trained networks beside baselines: report.json and report.html.

  launch/evaluate.py --dataset=demo/dataset --output=demo \
    --model=triplet_only=demo/runs/triplet --model=hybrid=demo/runs/label

A suite trains all networks of a paper's tables before, where they are missing,
and prints those tables; interrupted, the same command goes on:

  launch/evaluate.py --suite=gin/runs/demo_tables.gin \
    --dataset=demo/dataset --output=demo/tables
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

import pathlib  # isort: skip
import sys  # isort: skip
from typing import Any  # isort: skip

from absl import flags  # isort: skip

_DATASET = flags.DEFINE_string(
  "dataset", None, "Directory that prepare.py wrote.", required=True
)
_MODELS = flags.DEFINE_multi_string(
  "model", [], "NAME=WORKDIR of a training run; repeatable."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory of report.json and report.html.", required=True
)
_ENGINE = flags.DEFINE_enum(
  "engine", "local", ["local", "spark"], "What factorises the graph."
)
_SPARK_MASTER = flags.DEFINE_string(
  "spark_master", None, "Where Spark runs, e.g. local-cluster[2,1,2048]."
)
_TRUTH = flags.DEFINE_string(
  "truth", None, "truth.json of a generated corpus: its ambiguous words."
)
_STARTED_AT = flags.DEFINE_float(
  "started_at",
  None,
  "Unix time at which the job began whose seconds the report gives.",
)
_SUITE = flags.DEFINE_string(
  "suite", None, "Gin file of a suite: its rows are trained in --output."
)
_ONLY = flags.DEFINE_list(
  "only", [], "Rows of the suite to train, and those that they start from."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Check a suite and say what it would train; write nothing."
)
_ROW_GIN_FILE = flags.DEFINE_multi_string(
  "row_gin_file", [], "Gin file for every row, after its own; repeatable."
)
_ROW_PARAM = flags.DEFINE_multi_string(
  "row_param", [], "Gin binding for every row of a suite; repeatable."
)
cli.define_gin_flags()


def _models() -> dict[str, str]:
  from music_embed.core import errors

  models: dict[str, str] = {}
  for value in _MODELS.value:
    name, separator, workdir = value.partition("=")
    if not (name and separator and workdir):
      raise errors.ConfigError(f"--model={value}: want NAME=WORKDIR")
    if name in models:
      raise errors.ConfigError(f"--model={value}: {name!r} is given twice")
    models[name] = workdir
  return models


def _configured(function: Any, *given: str) -> dict[str, Any]:
  """What the gin files, the suite's before others, bind to a function."""
  from music_embed.runs import config

  suite = [_SUITE.value] if _SUITE.value else []
  return config.load(
    function,
    gin_files=[*suite, *flags.FLAGS.gin_file],
    gin_params=flags.FLAGS.gin_param,
    given=given,
  ).arguments


def _settings() -> dict[str, Any]:
  """Arguments of `evaluate.evaluate` but dataset, models and output."""
  from music_embed.runs import evaluate

  given = {
    "engine": _ENGINE.value,
    "spark_master": _SPARK_MASTER.value,
    "truth": _TRUTH.value,
    "started_at": _STARTED_AT.value,
  }
  names = ("dataset", "models", "output", *given)
  return given | _configured(evaluate.evaluate, *names)


def _run_suite() -> None:
  from music_embed.core import errors

  if _MODELS.value:
    raise errors.ConfigError("--model: a suite's rows are its models")
  from music_embed.runs import suite

  folder = pathlib.Path(__file__).resolve().parent
  given = {
    "dataset": _DATASET.value,
    "output": _OUTPUT.value,
    "launchers": suite.Launchers(
      train=(sys.executable, str(folder / "train.py")),
      factorize=(sys.executable, str(folder / "factorize.py")),
    ),
    "settings": _settings(),
    "only": _ONLY.value,
    "gin_files": _ROW_GIN_FILE.value,
    "gin_params": _ROW_PARAM.value,
    "dry_run": _DRY_RUN.value,
  }
  suite.suite(**given, **_configured(suite.suite, *given))


def main() -> None:
  """Reads the configuration and evaluates."""
  if _SUITE.value:
    _run_suite()
    return
  models = _models()
  from music_embed.core import errors

  for flag in (_ONLY, _DRY_RUN, _ROW_GIN_FILE, _ROW_PARAM):
    if flag.value:
      raise errors.ConfigError(f"--{flag.name}: only with --suite")
  from music_embed.runs import evaluate

  evaluate.evaluate(
    dataset=_DATASET.value,
    models=models,
    output=_OUTPUT.value,
    **_settings(),
  )


if __name__ == "__main__":
  cli.run(main)
