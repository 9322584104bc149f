"""What training in mixed bfloat16 costs in link and label AUC.

  tools/compare_precision.py --dataset=demo/dataset --output=precision \
    [--num_threads=2] [--triplet_steps=1200] [--label_steps=300]

The demo's hybrid is trained in float32 and in mixed_bfloat16 from the same
seed, so from the same weights and on the same batches, and once more in
float32 from another seed: what chance alone does. All are evaluated in
float32 on the same held-out recordings; the intervals are of a bootstrap over
those. Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tools import hybrids  # noqa: E402

VARIANTS = {
  "float32": ("float32", 0),
  "mixed_bfloat16": ("mixed_bfloat16", 0),
  "float32_other_seed": ("float32", 1),
}
"""Precision and seed, by name; the others are compared with the first."""


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs what is missing and prints the comparison; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--dataset", type=pathlib.Path, required=True)
  parser.add_argument("--output", type=pathlib.Path, required=True)
  parser.add_argument("--num_threads", type=int, default=None)
  for stage in hybrids.STAGES:
    parser.add_argument(f"--{stage}_steps", type=int, default=None)
  flags = parser.parse_args(arguments)
  steps = {stage: getattr(flags, f"{stage}_steps") for stage in hybrids.STAGES}
  dataset, output = flags.dataset.resolve(), flags.output.resolve()
  try:
    models = {
      name: hybrids.train(
        dataset,
        output / name,
        seed=seed,
        gin_file=_settings(output / name, precision, flags.num_threads),
        steps={stage: n for stage, n in steps.items() if n is not None},
      )
      for name, (precision, seed) in VARIANTS.items()
    }
    report = hybrids.evaluate(dataset, models, output)
  except subprocess.CalledProcessError as error:
    print(f"compare_precision: failed: {error.cmd[1]}", file=sys.stderr)
    return 1
  print(table(report))
  return 0


def table(report: Mapping[str, Any]) -> str:
  """Each variant's measures, intervals, and differences from the first.

  Args:
    report: contents of report.json, whose systems include the variants.
  """
  first = next(iter(VARIANTS))
  lines = []
  for title, part, measure in hybrids.MEASURES:
    lines.append(
      f"{title:22}{'value':>8}   {'95 % interval':15}{'difference':>12}"
    )
    reference = report[part][first][measure]
    for name in VARIANTS:
      value = report[part][name][measure]
      low, high = report["intervals"][part][name][measure]
      cells = f"  {name:20}{value:8.4f}   [{low:.3f}, {high:.3f}] "
      difference = "" if name == first else f"{value - reference:+12.4f}"
      lines.append(f"{cells}{difference}".rstrip())
    lines.append("")
  return "\n".join(lines[:-1])


def _settings(
  folder: pathlib.Path, precision: str, num_threads: int | None
) -> pathlib.Path:
  """Writes a gin file of what the process of a run is set to."""
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / "settings.gin"
  path.write_text(
    "from __gin__ import dynamic_registration\n"
    "from music_embed.runs import runtime\n\n"
    f"runtime.configure.precision = {precision!r}\n"
    f"runtime.configure.num_threads = {num_threads}\n",
    encoding="utf-8",
  )
  return path


if __name__ == "__main__":
  sys.exit(main())
