"""Trains the runs of the ablations; finished ones are kept."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import re
from collections.abc import Sequence

from tools import hybrids
from tools.ablation import variants

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Places:
  """Where things lie, and what all runs share.

  Attributes:
    output: of the tool.
    dataset: the baseline's.
    steps_scale: factor of every run's steps.
    num_threads: TensorFlow's, of a run; None takes every core.
  """

  output: pathlib.Path
  dataset: pathlib.Path
  steps_scale: float = 1.0
  num_threads: int | None = None

  @property
  def settings(self) -> pathlib.Path:
    """A gin file for the process of every run."""
    return self.output / "settings.gin"

  def workdir(self, run: str, seed: int) -> pathlib.Path:
    """Directory of a run."""
    return self.output / f"seed_{seed}" / run

  def dataset_of(self, run: variants.Run) -> pathlib.Path:
    """Directory of the dataset that a run trains on."""
    return self.output / run.dataset if run.dataset else self.dataset


def prepare(places: Places, corpus: pathlib.Path, name: str) -> None:
  """Prepares one of `variants.DATASETS` from the baseline's tables.

  Raises:
    CalledProcessError: preparing failed; it has said why.
  """
  hybrids.run(
    "launch/prepare.py",
    "--gin_file=gin/datasets/demo.gin",
    f"--gin_file={variants.DATASETS[name]}",
    f"--recordings={corpus / 'recordings.csv'}",
    f"--listening_log={corpus / 'listening_log.csv.gz'}",
    f"--output={places.output / name}",
  )


def train(
  places: Places, runs: Sequence[variants.Run], *, seeds: int, jobs: int
) -> None:
  """Trains what is missing: all runs of one seed before the next.

  Args:
    places: where to.
    runs: each after the one that it starts from.
    seeds: how many.
    jobs: processes at a time.

  Raises:
    CalledProcessError: a run failed; those under way are waited for.
  """
  begun: dict[tuple[str, int], concurrent.futures.Future[None]] = {}
  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    for seed in range(seeds):
      for run in runs:
        # Begun earlier, so it is never behind this one in the queue.
        earlier = begun[run.after, seed] if run.after else None
        begun[run.name, seed] = pool.submit(_train, places, run, seed, earlier)
    try:
      for future in begun.values():
        future.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise


def arguments(places: Places, run: variants.Run, seed: int) -> list[str]:
  """What `launch/train.py` is given for a run."""
  bindings = [
    f"DATASET = '{places.dataset_of(run)}'",
    f"TRAIN_STEPS = {_steps(run, places.steps_scale)}",
    f"train.train.seed = {seed}",
    *run.bindings,
  ]
  if run.after:
    bindings.append(f"WARM_START = '{places.workdir(run.after, seed)}'")
  return [
    *(f"--gin_file={name}" for name in (*run.gin_files, places.settings)),
    *(f"--gin_param={binding}" for binding in bindings),
    f"--workdir={places.workdir(run.name, seed)}",
  ]


def write_settings(places: Places) -> None:
  """Writes the gin file of what the process of every run is set to."""
  places.settings.parent.mkdir(parents=True, exist_ok=True)
  places.settings.write_text(
    "from __gin__ import dynamic_registration\n"
    "from music_embed.runs import runtime\n\n"
    f"runtime.configure.num_threads = {places.num_threads}\n",
    encoding="utf-8",
  )


def _train(
  places: Places,
  run: variants.Run,
  seed: int,
  earlier: concurrent.futures.Future[None] | None,
) -> None:
  if earlier is not None:
    earlier.result()
  if not (places.workdir(run.name, seed) / "finished.json").exists():
    hybrids.run("launch/train.py", *arguments(places, run, seed))


def _steps(run: variants.Run, scale: float) -> int:
  """The steps that the demo's file of a run binds, scaled."""
  text = (_ROOT / run.gin_files[0]).read_text(encoding="utf-8")
  found = re.search(r"^TRAIN_STEPS = ([\d_]+)$", text, re.MULTILINE)
  if found is None:
    raise ValueError(f"{run.gin_files[0]}: binds no TRAIN_STEPS")
  return max(1, round(int(found[1]) * scale))
