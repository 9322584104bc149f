"""What storing log-mels in fewer bits costs in link and label AUC.

  tools/compare_payloads.py --output=payloads [--worlds=3]

Each synthetic world is prepared once per payload (uint8, float32), the demo's
hybrid is trained on each, and all are evaluated on the same recordings. The
control is uint8 again with another seed of training: what chance alone does.
Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tools import hybrids  # noqa: E402

_VARIANTS = {
  "uint8": ("uint8", 0),
  "float32": ("float32", 0),
  "uint8, other seed": ("uint8", 1),
}
_SYSTEM = "hybrid"

Values = dict[str, dict[str, list[float]]]


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs what is missing and prints the comparison; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--output", type=pathlib.Path, required=True)
  parser.add_argument("--worlds", type=int, default=3)
  flags = parser.parse_args(arguments)
  values: Values = {
    variant: {name: [] for name, _, _ in hybrids.MEASURES}
    for variant in _VARIANTS
  }
  try:
    for variant, (dtype, seed) in _VARIANTS.items():
      for world in range(flags.worlds):
        report = _evaluated(flags.output, world, dtype, seed)
        for name, part, measure in hybrids.MEASURES:
          values[variant][name].append(report[part][_SYSTEM][measure])
  except subprocess.CalledProcessError as error:
    print(f"compare_payloads: failed: {error.cmd[1]}", file=sys.stderr)
    return 1
  print(table(values))
  return 0


def table(values: Values) -> str:
  """Each world's measures, and their differences from the first variant.

  Args:
    values: by variant and measure, one a world.
  """
  first = next(iter(values))
  worlds = range(len(values[first][hybrids.MEASURES[0][0]]))
  lines = []
  for name, _, _ in hybrids.MEASURES:
    head = "".join(f"{f'world {world}':>10}" for world in worlds)
    lines += [f"{name:28}{head}{'mean':>10}{'spread':>10}"]
    for variant, measures in values.items():
      lines.append(_line(variant, measures[name], "9.4f"))
    for variant in list(values)[1:]:
      pairs = zip(values[variant][name], values[first][name], strict=True)
      lines.append(_line(f"{variant} - {first}", [a - b for a, b in pairs]))
    lines.append("")
  return "\n".join(lines[:-1])


def _line(title: str, numbers: list[float], form: str = "+9.4f") -> str:
  spread = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
  cells = "".join(
    f" {number:{form}}" for number in [*numbers, statistics.mean(numbers)]
  )
  return f"  {title:26}{cells} {spread:9.4f}"


def _evaluated(
  output: pathlib.Path, world: int, dtype: str, seed: int
) -> dict[str, Any]:
  """The report of one world, payload and seed, made where it is missing."""
  folder = output / f"world_{world}"
  corpus, dataset = folder / "corpus", folder / dtype
  runs = folder / f"{dtype}_seed_{seed}"
  report = runs / "report.json"
  if report.exists():
    return json.loads(report.read_text(encoding="utf-8"))
  hybrids.run("tools/make_corpus.py", f"--output={corpus}", f"--seed={world}")
  hybrids.run(
    "launch/prepare.py",
    "--gin_file=gin/datasets/demo.gin",
    f"--gin_param=types.Quantization.dtype = '{dtype}'",
    f"--recordings={corpus}/recordings.csv",
    f"--listening_log={corpus}/listening_log.csv.gz",
    f"--output={dataset}",
  )
  workdir = hybrids.train(dataset, runs, seed=seed)
  return hybrids.evaluate(dataset, {_SYSTEM: workdir}, runs)


if __name__ == "__main__":
  sys.exit(main())
