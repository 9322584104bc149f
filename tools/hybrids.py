"""What tools that compare variants of the demo's hybrid share."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[1]

MEASURES = (
  ("link AP", "link", "ap"),
  ("link AUC", "link", "auc"),
  ("label AUC", "label", "auc"),
)
"""Title of a measure, and where report.json has it: part, then name."""

STAGES = ("triplet", "label")
"""The hybrid's, in their order; also the names of their runs' folders."""


def train(
  dataset: pathlib.Path,
  runs: pathlib.Path,
  *,
  seed: int,
  gin_file: pathlib.Path | None = None,
  steps: Mapping[str, int] | None = None,
) -> pathlib.Path:
  """Trains the demo's hybrid; a finished stage is passed over.

  Args:
    dataset: directory that prepare.py wrote.
    runs: gets one directory a stage.
    seed: of both stages.
    gin_file: further settings of both stages.
    steps: of a stage by its name, where not the demo's.

  Returns:
    The directory of the last stage's run.

  Raises:
    CalledProcessError: a stage failed; it has said why.
  """
  earlier: list[str] = []
  for stage in STAGES:
    bindings = [f"DATASET = '{dataset}'", f"train.train.seed = {seed}"]
    bindings += earlier
    if steps is not None and stage in steps:
      bindings.append(f"TRAIN_STEPS = {steps[stage]}")
    run(
      "launch/train.py",
      f"--gin_file=gin/runs/demo_{stage}.gin",
      *([f"--gin_file={gin_file}"] if gin_file is not None else []),
      *(f"--gin_param={binding}" for binding in bindings),
      f"--workdir={runs / stage}",
    )
    earlier = [f"WARM_START = '{runs / stage}'"]
  return runs / STAGES[-1]


def evaluate(
  dataset: pathlib.Path,
  models: Mapping[str, pathlib.Path],
  output: pathlib.Path,
) -> dict[str, Any]:
  """The report of runs on one dataset, on the same recordings and resamples.

  Args:
    dataset: directory that prepare.py wrote.
    models: directories of the runs, by the names that the report gives them.
    output: gets the report.

  Raises:
    CalledProcessError: evaluating failed; it has said why.
  """
  run(
    "launch/evaluate.py",
    "--gin_file=gin/runs/demo_evaluate.gin",
    f"--dataset={dataset}",
    *(f"--model={name}={workdir}" for name, workdir in models.items()),
    f"--output={output}",
  )
  text = (output / "report.json").read_text(encoding="utf-8")
  return json.loads(text)


def run(script: str, *arguments: str) -> None:
  """Runs a script of this checkout; its output goes to standard error.

  Raises:
    CalledProcessError: it failed.
  """
  print(f"{script} {' '.join(arguments)}", file=sys.stderr, flush=True)
  environment = {"TQDM_MININTERVAL": "30", **os.environ}
  subprocess.run(
    [sys.executable, str(_ROOT / script), *arguments],
    cwd=_ROOT,
    env=environment,
    check=True,
    stdout=sys.stderr,
  )
