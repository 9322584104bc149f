"""Disturbs prepare and train at random moments; the results must not differ.

Each phase first runs undisturbed. Then the same command is started again and
again in another directory and disturbed until that has happened as often as
asked; where it finishes earlier, the next round starts in a fresh directory.
Every finished round is compared: files byte for byte, weights, optimisers and
history bit for bit.

- prepare: SIGKILL, with its workers, after a random time.
- train: SIGKILL at a random step.
- preempt: SIGTERM at a random step; it must exit with 130 and leave a complete
  checkpoint of the step that it stopped at.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

_PHASES = ("prepare", "train", "preempt")
_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TRAIN_STEPS = 150
_EXIT_INTERRUPTED = 130
_TRAIN_PARAMS = (
  f"TRAIN_STEPS = {_TRAIN_STEPS}",
  "BATCH_TRIPLETS = 8",
  "LoopOptions.summary_steps = 5",
  "LoopOptions.validation_steps = 10",
)

Compare = Callable[[pathlib.Path, pathlib.Path], list[str]]
Disturb = Callable[[list[str], pathlib.Path], str | None]
"""(command, output) -> what was done, or None: it had ended by itself."""


def main() -> None:
  """Runs the phases asked for; exits with 1 where anything differed."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--kills", type=int, default=10, help="a phase")
  parser.add_argument("--phase", choices=_PHASES, default=None)
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
        disturb=lambda command, _: _kill_after(
          command, rng.uniform(0.4, 1.05) * took_s
        ),
        compare=_different_files,
        times=arguments.kills,
      )
    reference = work / "train_reference"
    if arguments.phase != "prepare":
      _run(_train(dataset, reference))
    for phase, number in (
      ("train", signal.SIGKILL),
      ("preempt", signal.SIGTERM),
    ):
      if arguments.phase in (None, phase):
        differences += _disturb(
          phase,
          command=lambda output: _train(dataset, output),
          reference=reference,
          disturb=functools.partial(_signal_at_step, number=number, rng=rng),
          compare=_different_runs,
          times=arguments.kills,
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
  disturb: Disturb,
  compare: Compare,
  times: int,
) -> int:
  """Disturbs so many times in all; the number of differences found."""
  done = rounds = found = 0
  while done < times:
    output = reference.with_name(f"{phase}_{rounds}")
    while done < times:
      what = disturb(command(output), output)
      if what is None:
        break
      done += 1
      print(f"{phase}: {what} ({done}/{times})", flush=True)
    _run(command(output))
    differences = compare(reference, output)
    for difference in differences:
      print(f"{phase}: DIFFERS: {difference}", flush=True)
    found += len(differences)
    rounds += 1
    shutil.rmtree(output)
  print(f"{phase}: {done} disturbed, {rounds} rounds, {found} differences")
  return found


def _start(command: list[str]) -> subprocess.Popen[str]:
  return subprocess.Popen(
    command,
    cwd=_ROOT,
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )


def _kill_after(command: list[str], delay_s: float) -> str | None:
  process = _start(command)
  try:
    _, err = process.communicate(timeout=delay_s)
  except subprocess.TimeoutExpired:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return f"killed after {delay_s:.1f} s"
  if process.returncode:
    sys.exit(f"failed ({process.returncode}): {' '.join(command)}\n{err}")
  return None


def _signal_at_step(
  command: list[str],
  output: pathlib.Path,
  *,
  number: signal.Signals,
  rng: random.Random,
) -> str | None:
  """Sends the signal when the history has come to a random later step."""
  if _last_step(output) == _TRAIN_STEPS:
    return None
  target = rng.randint(_last_step(output) + 1, _TRAIN_STEPS)
  process = _start(command)
  between_rows_s = 0.3
  seen, since = _last_step(output), time.monotonic()
  while process.poll() is None and seen < target:
    time.sleep(0.005)
    if (step := _last_step(output)) > seen:
      between_rows_s = min(time.monotonic() - since, 5.0)
      seen, since = step, time.monotonic()
  time.sleep(rng.uniform(0, between_rows_s))
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, number)
  _, err = process.communicate()
  if (output / "finished.json").exists():
    return None
  if number == signal.SIGKILL:
    return f"killed after step {_last_step(output)}"
  stopped = re.search(r"stopped at step (\d+)", err)
  if process.returncode != _EXIT_INTERRUPTED or stopped is None:
    sys.exit(f"failed ({process.returncode}): {' '.join(command)}\n{err}")
  step = int(stopped[1])
  if _checkpoint_step(output) != step:
    sys.exit(f"{output}: stopped at step {step} without its checkpoint\n{err}")
  return f"stopped at step {step}"


def _last_step(workdir: pathlib.Path) -> int:
  """The last step in a run's history so far."""
  path = workdir / "history.jsonl"
  if not path.exists():
    return 0
  lines = path.read_text().splitlines(keepends=True)
  steps = [json.loads(x)["step"] for x in lines if x.endswith("\n")]
  return max(steps, default=0)


def _checkpoint_step(workdir: pathlib.Path) -> int | None:
  from music_embed.training import checkpoints

  path = checkpoints.newest(str(workdir / "checkpoints"))
  return None if path is None else checkpoints.step_of(path)


def _different_files(a: pathlib.Path, b: pathlib.Path) -> list[str]:
  names = {
    str(path.relative_to(root))
    for root in (a, b)
    for path in root.rglob("*")
    if path.is_file() and ".cache" not in path.parts
  }
  _, mismatch, missing = filecmp.cmpfiles(a, b, sorted(names), shallow=False)
  return [*mismatch, *(f"{name} (only on one side)" for name in missing)]


def _different_runs(a: pathlib.Path, b: pathlib.Path) -> list[str]:
  """Differing variables of the last checkpoints, and differing histories."""
  import numpy as np
  import tensorflow as tf

  from music_embed.training import checkpoints

  readers = [
    tf.train.load_checkpoint(checkpoints.newest(str(d / "checkpoints")))
    for d in (a, b)
  ]
  names = set(readers[0].get_variable_to_shape_map())
  other = set(readers[1].get_variable_to_shape_map())
  found = sorted(names ^ other)
  for name in sorted(names & other - {"_CHECKPOINTABLE_OBJECT_GRAPH"}):
    x, y = (reader.get_tensor(name) for reader in readers)
    if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
      found.append(name)
  histories = [(d / "history.jsonl").read_text().splitlines() for d in (a, b)]
  if histories[0] != histories[1]:
    found.append("history.jsonl")
  return found


if __name__ == "__main__":
  main()
