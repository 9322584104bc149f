"""One of two workers that train cases together; started by the tests.

replica_worker.py DATASET OUTPUT STEPS CASE...
"""

from __future__ import annotations

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import replica_cases  # noqa: E402
import tensorflow as tf  # noqa: E402

from music_embed.training import strategy as strategy_lib  # noqa: E402
from music_embed.training import workers  # noqa: E402


def main(dataset: str, output: str, steps: str, *names: str) -> None:
  """Trains the cases in turn; the chief writes each one's arrays."""
  tf.config.threading.set_intra_op_parallelism_threads(1)
  strategy = strategy_lib.MultiWorker().create()
  place = workers.Workers(strategy)
  replica_cases.set_floatx("float64")
  for name in names:
    scratch = pathlib.Path(output, f"{name}_{place.index}")
    scratch.mkdir()
    arrays = replica_cases.train(
      replica_cases.CASES[name],
      strategy,
      dataset,
      steps=int(steps),
      scratch=scratch,
    )
    if place.is_chief:
      written = pathlib.Path(output, f"{name}.tmp.npz")
      np.savez(written, **arrays)
      written.rename(pathlib.Path(output, f"{name}.npz"))


if __name__ == "__main__":
  main(*sys.argv[1:])
