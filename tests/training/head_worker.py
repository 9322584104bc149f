"""One of two workers that train either head together; started by a test.

head_worker.py FOLDER FIRST LAST KIND...

Goes on from FOLDER/KIND_FIRST and writes FOLDER/KIND_LAST.
"""

from __future__ import annotations

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import head_cases  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402


def main(folder: str, first: str, last: str, *kinds: str) -> None:
  """Trains; the chief's checkpoint and posteriors stay."""
  tf.config.threading.set_intra_op_parallelism_threads(1)
  strategy = tf.distribute.MultiWorkerMirroredStrategy()
  tf_keras.backend.set_floatx("float64")
  tf_keras.mixed_precision.set_global_policy("float64")
  index = strategy.cluster_resolver.task_id
  for kind in kinds:
    stage = head_cases.Stage(strategy, kind)
    before = str(pathlib.Path(folder, f"{kind}_{first}"))
    stage.checkpoint.read(before).assert_consumed()
    stage.train(int(first), int(last))
    name = f"{kind}_{last}" if index == 0 else f"{kind}_not_chief"
    stage.checkpoint.write(str(pathlib.Path(folder, name)))
    embedding = stage.distributed(0)[0]
    posteriors = strategy.run(
      tf.function(lambda x: stage.head.posteriors(x @ stage.network, [9, 0])),  # noqa: B023
      (embedding,),
    )
    np.save(
      str(pathlib.Path(folder, f"{kind}_posteriors_{index}.npy")),
      posteriors.numpy(),
    )


if __name__ == "__main__":
  main(*sys.argv[1:])
