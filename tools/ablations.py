"""Leaves out, one at a time, what the paper says matters.

  tools/ablations.py --dataset=demo/dataset --corpus=demo/corpus \
    --output=ablations [--seeds=3] [--only=no_l2,no_mining] \
    [--steps_scale=0.5] [--jobs=2] [--num_threads=1]

Each variant of gin/systems/huang2020/ablations/ is trained with the demo's
settings, from several seeds, and all are measured on the same recordings that
training never saw. What several variants share is trained once. The table goes
to standard output, ablations.md and ablations.json. Interrupted, the same
command goes on where it stopped; so it does with more seeds or variants.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

# As the launchers do, before anything imports TensorFlow.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tools.ablation import training, variants  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs what is missing and prints the table; returns the exit code."""
  flags = _parser().parse_args(arguments)
  only = [name for name in flags.only.split(",") if name]
  try:
    chosen = variants.chosen(only, with_corpus=flags.corpus is not None)
    places = training.Places(
      output=flags.output.resolve(),
      dataset=flags.dataset.resolve(),
      steps_scale=flags.steps_scale,
      num_threads=flags.num_threads,
    )
    _check_same(places)
  except ValueError as error:
    print(f"ablations.py: error: {error}", file=sys.stderr)
    return 2
  training.write_settings(places)
  runs = variants.runs_of(chosen)
  try:
    for name in sorted({run.dataset for run in runs if run.dataset}):
      training.prepare(places, flags.corpus.resolve(), name)
    training.train(places, runs, seeds=flags.seeds, jobs=flags.jobs)
  except subprocess.CalledProcessError as error:
    print(f"ablations.py: failed: {error.cmd[1]}", file=sys.stderr)
    return 1
  from tools.ablation import measuring, table  # Imports TensorFlow.

  bench = measuring.Bench(str(places.dataset))
  report = measuring.compare(bench, places, chosen, flags.seeds)
  text = table.text(report)
  (places.output / "ablations.json").write_text(json.dumps(report, indent=1))
  (places.output / "ablations.md").write_text(f"```\n{text}\n```\n")
  print(text)
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--dataset", type=pathlib.Path, required=True)
  parser.add_argument(
    "--corpus",
    type=pathlib.Path,
    help="what the dataset was prepared from; without it the variants that"
    " need another dataset are left out",
  )
  parser.add_argument("--output", type=pathlib.Path, required=True)
  parser.add_argument("--seeds", type=int, default=1)
  parser.add_argument("--only", default="", help="names, with commas between")
  parser.add_argument("--steps_scale", type=float, default=1.0)
  parser.add_argument("--jobs", type=int, default=1)
  parser.add_argument("--num_threads", type=int, default=None)
  return parser


def _check_same(places: training.Places) -> None:
  """Finished runs in the output are of the same steps and dataset.

  Raises:
    ValueError: they are of others.
  """
  path = places.output / "settings.json"
  now = {"dataset": str(places.dataset), "steps_scale": places.steps_scale}
  if path.exists() and (before := json.loads(path.read_text())) != now:
    raise ValueError(
      f"{places.output} holds runs of {before}, not {now}: choose another"
      " --output"
    )
  places.output.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(now))


if __name__ == "__main__":
  sys.exit(main())
