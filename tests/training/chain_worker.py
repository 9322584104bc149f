"""One of two workers that go on with runs together; started by the tests.

chain_worker.py DATASET FOLDER STEPS CASE...   (a run lies in FOLDER/CASE)
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import replica_cases  # noqa: E402
import tensorflow as tf  # noqa: E402

from music_embed.training import strategy  # noqa: E402


def main(dataset: str, folder: str, steps: str, *names: str) -> None:
  """Trains each case's run to a step."""
  tf.config.threading.set_intra_op_parallelism_threads(1)
  replica_cases.set_floatx("float64")
  for name in names:
    replica_cases.run(
      replica_cases.CASES[name],
      dataset,
      os.path.join(folder, name),
      steps=int(steps),
      strategy=strategy.MultiWorker(),
    )


if __name__ == "__main__":
  main(*sys.argv[1:])
