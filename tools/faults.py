"""Kills prepare and train at random moments; the results must not differ.

Each phase first runs undisturbed. Then the same command is started again and
again in another directory and killed (SIGKILL, with its workers) after a random
time, until it has been killed as often as asked; where it finishes earlier, the
next round starts in a fresh directory. Every finished round is compared.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TRAIN_PARAMS = (
  "TRAIN_STEPS = 150",
  "BATCH_TRIPLETS = 8",
  "LoopOptions.summary_steps = 5",
  "LoopOptions.validation_steps = 10",
)

Compare = Callable[[pathlib.Path, pathlib.Path], list[str]]


def main() -> None:
  """Runs the phases asked for; exits with 1 where anything differed."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--kills", type=int, default=10, help="a phase")
  parser.add_argument("--phase", choices=("prepare", "train"), default=None)
  parser.add_argument("--seed", type=int, default=0)
  arguments = parser.parse_args()
  os.environ.setdefault("OMP_NUM_THREADS", "1")
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  with tempfile.TemporaryDirectory() as name:
    work = pathlib.Path(name)
    corpus = work / "corpus"
    _make_corpus(corpus)
    rng = random.Random(arguments.seed)
    differences = 0
    dataset = work / "prepare_reference"
    took_s = _run(_prepare(corpus, dataset))
    if arguments.phase in (None, "prepare"):
      differences += _disturb(
        "prepare",
        command=lambda output: _prepare(corpus, output),
        reference=dataset,
        took_s=took_s,
        compare=_different_files,
        kills=arguments.kills,
        rng=rng,
      )
    if arguments.phase in (None, "train"):
      reference = work / "train_reference"
      took_s = _run(_train(dataset, reference))
      differences += _disturb(
        "train",
        command=lambda output: _train(dataset, output),
        reference=reference,
        took_s=took_s,
        compare=_different_weights,
        kills=arguments.kills,
        rng=rng,
      )
  sys.exit(1 if differences else 0)


def _make_corpus(corpus: pathlib.Path) -> None:
  _run(
    [
      sys.executable,
      "tools/make_corpus.py",
      f"--output={corpus}",
      "--clip_s=6",
      "--artists_per_genre=2",
      "--num_listeners=600",
    ]
  )


def _prepare(corpus: pathlib.Path, output: pathlib.Path) -> list[str]:
  return [
    sys.executable,
    "launch/prepare.py",
    "--gin_file=gin/datasets/demo.gin",
    "--gin_param=IngestionOptions.recordings_per_shard = 8",
    f"--recordings={corpus / 'recordings.csv'}",
    f"--listening_log={corpus / 'listening_log.csv.gz'}",
    f"--output={output}",
  ]


def _train(dataset: pathlib.Path, workdir: pathlib.Path) -> list[str]:
  params = [f"DATASET = {str(dataset)!r}", *_TRAIN_PARAMS]
  return [
    sys.executable,
    "launch/train.py",
    "--gin_file=gin/runs/demo_triplet.gin",
    *[f"--gin_param={param}" for param in params],
    f"--workdir={workdir}",
  ]


def _run(command: list[str]) -> float:
  """Runs to the end; wall time in seconds."""
  start = time.monotonic()
  done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  if done.returncode:
    sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
  return time.monotonic() - start


def _disturb(
  phase: str,
  *,
  command: Callable[[pathlib.Path], list[str]],
  reference: pathlib.Path,
  took_s: float,
  compare: Compare,
  kills: int,
  rng: random.Random,
) -> int:
  """Kills `kills` times in all; the number of differences found."""
  killed = rounds = found = 0
  while killed < kills:
    output = reference.with_name(f"{phase}_{rounds}")
    while killed < kills:
      delay_s = rng.uniform(0.4, 1.05) * took_s
      if not _killed(command(output), delay_s):
        break
      killed += 1
      print(f"{phase}: kill {killed}/{kills} after {delay_s:.1f} s", flush=True)
    _run(command(output))
    differences = compare(reference, output)
    for difference in differences:
      print(f"{phase}: DIFFERS: {difference}", flush=True)
    found += len(differences)
    rounds += 1
    shutil.rmtree(output)
  print(f"{phase}: {killed} kills, {rounds} rounds, {found} differences")
  return found


def _killed(command: list[str], delay_s: float) -> bool:
  """Whether the command had to be killed: it had not ended by itself."""
  process = subprocess.Popen(
    command,
    cwd=_ROOT,
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  try:
    process.wait(timeout=delay_s)
  except subprocess.TimeoutExpired:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True
  if process.returncode:
    sys.exit(f"failed by itself ({process.returncode}): {' '.join(command)}")
  return False


def _different_files(a: pathlib.Path, b: pathlib.Path) -> list[str]:
  names = {
    str(path.relative_to(root))
    for root in (a, b)
    for path in root.rglob("*")
    if path.is_file() and ".cache" not in path.parts
  }
  _, mismatch, missing = filecmp.cmpfiles(a, b, sorted(names), shallow=False)
  return [*mismatch, *(f"{name} (only on one side)" for name in missing)]


def _different_weights(a: pathlib.Path, b: pathlib.Path) -> list[str]:
  import numpy as np
  import tensorflow as tf

  readers = [
    tf.train.load_checkpoint(tf.train.latest_checkpoint(str(d / "checkpoints")))
    for d in (a, b)
  ]
  names = set(readers[0].get_variable_to_shape_map())
  other = set(readers[1].get_variable_to_shape_map())
  found = sorted(names ^ other)
  for name in sorted(names & other - {"_CHECKPOINTABLE_OBJECT_GRAPH"}):
    x, y = (reader.get_tensor(name) for reader in readers)
    if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
      found.append(name)
  return found


if __name__ == "__main__":
  main()
