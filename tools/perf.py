"""Measures the system's speed beside references, in one run.

  tools/perf.py data [--json=FILE] [--only=windows,triplets] [--scratch=DIR]
  tools/perf.py train [--json=FILE] [--only=steps,networks,head]
  tools/perf.py senses [--json=FILE] [--only=factorization]
  tools/perf.py benchmarks [--json=FILE]
  tools/perf.py serving [--json=FILE] [--only=embedding,retrieval]

Every figure is taken side by side with its reference, per CPU-second and as a
median of alternating rounds, so that other work on the machine and its speed
cancel in the ratio. Ratios compare across machines, the rates themselves don't.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence

# As the launchers do, before anything imports TensorFlow.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")
_ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from tools.performance import measure  # noqa: E402

SECTIONS = {
  "data": (
    "windows",
    "materialized",
    "triplets",
    "colisten",
    "ingestion",
    "input",
  ),
  "train": ("steps", "networks", "head"),
  "senses": ("factorization", "sense_stage"),
  "benchmarks": ("metrics",),
  "serving": ("embedding", "retrieval"),
}
"""Parts of each suite, each a module of `tools/performance` with
`figures(scratch: str) -> list[Figure]`."""


def main(arguments: Sequence[str] | None = None) -> int:
  """Parses the flags and measures; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("suite", choices=sorted(SECTIONS))
  parser.add_argument("--json", metavar="FILE", help="also write a list here")
  parser.add_argument("--only", metavar="PART,...", help="some parts only")
  parser.add_argument(
    "--scratch",
    metavar="DIR",
    default=tempfile.gettempdir(),
    help="where some 20 GB of files may lie meanwhile",
  )
  flags = parser.parse_args(arguments)
  parts = SECTIONS[flags.suite]
  chosen = flags.only.split(",") if flags.only else parts
  if unknown := [name for name in chosen if name not in parts]:
    parser.error(f"no part {unknown[0]!r}; there are: {', '.join(parts)}")
  if flags.suite == "data":  # Of this suite no part is an accelerator's.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
  if flags.json and not os.path.isdir(os.path.dirname(flags.json) or "."):
    parser.error(f"--json={flags.json}: no such folder")
  figures: list[measure.Figure] = []
  with tempfile.TemporaryDirectory(
    prefix="music_embed_perf_", dir=flags.scratch
  ) as scratch:
    for name in chosen:
      measure.say(f"measuring {name} ...")
      module = importlib.import_module(f"tools.performance.{name}")
      found: Callable[[str], list[measure.Figure]] = module.figures
      figures += found(scratch)
      _write(flags.json, figures)  # What is measured stays, whatever follows.
  print(measure.table(figures))
  return 0


def _write(path: str | None, figures: Sequence[measure.Figure]) -> None:
  if path:
    text = json.dumps([figure.to_json() for figure in figures], indent=2)
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
  sys.exit(main())
