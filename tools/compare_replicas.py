"""How training in float32 drifts apart on other numbers of replicas.

  tools/compare_replicas.py --dataset=demo/dataset [--steps=50] \
    [--gin_file=gin/runs/demo_triplet.gin] [--precision=float32] \
    [--replicas=1,2,4]

The same stage, from the same weights and on the same batches, on one CPU
device and on several: replicas add up in another order, and rounding grows
from step to step, until another negative is mined. With --precision=float64
what is left says that nothing else differs.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

# As the launchers do, before anything imports TensorFlow.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

_SHOWN = (1, 2, 3, 5, 10, 20, 30, 40, 50, 100, 200, 500, 1_000)

Losses = npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
  """Trains on each number of replicas and prints how far they are apart."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--dataset", required=True)
  parser.add_argument("--gin_file", default="gin/runs/demo_triplet.gin")
  parser.add_argument("--steps", type=int, default=50)
  parser.add_argument("--precision", default="float32")
  parser.add_argument("--replicas", default="1,2,4")
  parser.add_argument("--workdir", help=argparse.SUPPRESS)
  flags = parser.parse_args(arguments)
  if flags.workdir is not None:
    _train(flags, int(flags.replicas))
    return 0
  counts = [int(count) for count in flags.replicas.split(",")]
  with tempfile.TemporaryDirectory() as scratch:
    runs = {count: os.path.join(scratch, str(count)) for count in counts}
    for count, workdir in runs.items():
      command = [sys.executable, __file__, f"--workdir={workdir}"]
      for name in ("dataset", "gin_file", "steps", "precision"):
        command.append(f"--{name}={getattr(flags, name)}")
      result = subprocess.run(
        [*command, f"--replicas={count}"], stdout=sys.stderr, check=False
      )
      if result.returncode:
        return result.returncode
    losses = {count: _losses(workdir) for count, workdir in runs.items()}
    weights = {count: _weights(workdir) for count, workdir in runs.items()}
  print(f"{flags.precision}\n{table(losses, weights)}")
  return 0


def table(losses: dict[int, Losses], weights: dict[int, Losses]) -> str:
  """Losses, and distances of losses and of weights from the first.

  Args:
    losses: [steps] by number of replicas.
    weights: of the network at the end, [variables], likewise.
  """
  first, *others = losses
  head = [f"{f'{count} replicas':>13}" for count in others]
  lines = [f"{'step':>8}{f'loss on {first}':>12}{''.join(head)}"]
  for step in (step for step in _SHOWN if step <= len(losses[first])):
    own = losses[first][step - 1]
    apart = [abs(losses[count][step - 1] - own) / abs(own) for count in others]
    cells = "".join(f"{value:13.1e}" for value in apart)
    lines.append(f"{step:8}{own:12.6f}{cells}")
  norm = np.linalg.norm(weights[first])
  apart = [
    float(np.linalg.norm(weights[count] - weights[first]) / norm)
    for count in others
  ]
  cells = "".join(f"{value:13.1e}" for value in apart)
  return "\n".join([*lines, f"{'weights, in the end':20}{cells}"])


def _train(flags: argparse.Namespace, replicas: int) -> None:
  import tensorflow as tf

  from music_embed.runs import config, runtime, train
  from music_embed.training import loop, strategy

  cpu = tf.config.list_physical_devices("CPU")[0]
  devices = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
  tf.config.set_logical_device_configuration(cpu, devices)
  runtime.configure(num_threads=1, precision=flags.precision)
  configured = config.load(
    train.train,
    gin_files=[flags.gin_file],
    gin_params=[f"DATASET = {flags.dataset!r}"],
    given=("workdir",),
  )
  names = [f"CPU:{index}" for index in range(replicas)]
  train.train(
    **configured.arguments
    | {
      "workdir": flags.workdir,
      "strategy": strategy.Mirrored(names),
      "loop": loop.LoopOptions(flags.steps, summary_steps=1),
      "validation": None,
    }
  )


def _losses(workdir: str) -> Losses:
  from music_embed.training import history

  rows = history.read(os.path.join(workdir, history.FILE_NAME))
  name = next(name for name in rows[0] if name.endswith("/loss"))
  return np.array([row[name] for row in rows if row["split"] == "train"])


def _weights(workdir: str) -> Losses:
  import tensorflow as tf

  from music_embed.training import warm_start

  reader = tf.train.load_checkpoint(
    warm_start.checkpoint_path(workdir, warm_start.LAST)
  )
  names = sorted(reader.get_variable_to_shape_map())
  return np.concatenate(
    [
      reader.get_tensor(name).ravel()
      for name in names
      if name.startswith("parts/") and "moving_" not in name
    ]
  )


if __name__ == "__main__":
  sys.exit(main())
