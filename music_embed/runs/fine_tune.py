"""Networks trained on a benchmark: from an export's weights, or afresh."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.benchmarks import base
from music_embed.data.ingestion import clips as clips_lib
from music_embed.data.pipeline import tagged
from music_embed.evaluation import tagging
from music_embed.export import exported as exported_lib
from music_embed.objectives import multilabel_bce
from music_embed.runs import (
  fine_tune_options,
  restore,
  tag_validation,
  train,
  tuned_network,
)
from music_embed.runs import workdir as workdir_lib
from music_embed.training import checkpoints, loop, optimizers, warm_start
from music_embed.training import plateau as plateau_lib
from music_embed.training import task as task_lib

FineTune = fine_tune_options.FineTune
WARM_START = fine_tune_options.WARM_START
COLD_START = fine_tune_options.COLD_START


@dataclasses.dataclass(frozen=True)
class FineTuned:
  """What came of training.

  Attributes:
    scores: by split ("validation" and "evaluation"): probabilities, float64
      [clips, tags], of the clips of `Task.rows`; NaN for rejected ones.
    learning_rate: of the network: the one that validation chose.
    best_step: step of the checkpoint that gave the scores.
    steps: that were trained, at that rate.
    validation_auc: macro AUC-ROC there; NaN where nothing can be judged.
    seconds: of training, validating and checkpoints, at all rates.
    rejected: why a clip has no scores, by its position in `Task.clips`.
  """

  scores: dict[str, npt.NDArray[np.float64]]
  learning_rate: float
  best_step: int
  steps: int
  validation_auc: float
  seconds: float
  rejected: dict[int, str]


def run(
  mode: str,
  exported: exported_lib.Exported,
  task: base.Task,
  benchmark: base.Benchmark,
  train_rows: npt.NDArray[np.int64],
  workdir: str,
  cache: str,
  options: FineTune,
  seed: int,
  strategy: Any = None,
) -> FineTuned:
  """Trains a network on a benchmark; one that was interrupted goes on.

  Args:
    mode: "warm_start" from the export's weights, "cold_start" from fresh ones
      of the same network.
    exported: says what the network is.
    task: what `benchmark.load()` gave.
    benchmark: gives the audio.
    train_rows: training clips, positions in `task.clips`, [clips].
    workdir: of the training runs, one a learning rate.
    cache: for the clips' rows, which other runs may share.
    options: of training.
    seed: of fresh weights, of sampling and augmentation.
    strategy: one of `training.strategy`; None takes one device.

  Returns:
    Scores of the validation and evaluation clips.

  Raises:
    ConfigError: an unknown mode, the export does not say how its network is
      made, or `workdir` holds other runs.
    DataError: the export is damaged, or no training clip can be decoded.
    Interrupted: SIGTERM or Ctrl-C; the checkpoint is written.
  """
  options.learning_rates(mode)  # Before any clip is decoded.
  clips = clips_lib.ensure(
    task,
    benchmark,
    cache,
    front_end=exported.front_end,
    say=workdir_lib.say,
  )
  chosen = clips.recordings(train_rows)
  if not len(chosen):
    raise errors.DataError(
      f"{task.name}: none of {len(train_rows)} training clips can be used"
    )
  network = tuned_network.TunedNetwork(
    exported,
    options.hidden_units,
    prior=float(task.targets[clips.clips[chosen]].mean()),
  )
  trained = []
  for rate in options.learning_rates(mode):
    folder = files.join(workdir, f"{mode}_{rate:g}")
    text = _text(mode, exported, task, chosen, options, rate, seed)
    train.train(
      workdir=folder,
      dataset=clips.data.directory,
      embedder=network.unbuilt(),
      initialize=exported.load_weights if mode == WARM_START else None,
      texts=train.RunTexts(text, text),
      strategy=strategy,
      seed=seed,
      **_stage(options, rate, chosen, is_judged=_is_judged(task, clips)),
    )
    path = restore.checkpoint_of(folder, warm_start.BEST)
    trained.append(
      _measured(folder, rate, path, network, task, clips, strategy)
    )
  best = max(trained, key=lambda one: np.nan_to_num(one.validation_auc))
  evaluation = network.scores(
    clips.data, "evaluation", best.checkpoint, strategy
  )
  return FineTuned(
    scores={
      "validation": best.scores,
      "evaluation": _spread(evaluation, "evaluation", task, clips),
    },
    learning_rate=best.learning_rate,
    best_step=checkpoints.step_of(best.checkpoint),
    steps=best.steps,
    validation_auc=best.validation_auc,
    seconds=sum(one.seconds for one in trained),
    rejected=clips.rejected,
  )


@dataclasses.dataclass(frozen=True, eq=False)
class _Trained:
  """A finished run, its scores of the validation clips, and their AUC."""

  learning_rate: float
  checkpoint: str
  scores: npt.NDArray[np.float64]
  validation_auc: float
  steps: int
  seconds: float


def _stage(
  options: FineTune,
  rate: float,
  recordings: npt.NDArray[np.int64],
  *,
  is_judged: bool,
) -> dict[str, Any]:
  """The arguments of `train.train` that the options decide."""
  plateau = None
  if is_judged and options.patience_steps is not None:
    plateau = plateau_lib.Plateau(
      measure=f"{plateau_lib.VALIDATION}{tag_validation.AUC}",
      patience_steps=options.patience_steps,
      min_relative_change=0.0,
      smoothing=0.0,
    )
  return {
    "tasks": [
      task_lib.Task(
        multilabel_bce.MultilabelBceObjective(),
        tagged.TaggedSource(
          batch_windows=options.batch_windows, recordings=recordings
        ),
      )
    ],
    "optimizers": [
      optimizers.PartOptimizer(
        ("backbone", "projection"),
        rate,
        decay_steps=options.steps,
        warmup_steps=options.warmup_steps,
      ),
      optimizers.PartOptimizer(
        ("label_head",),
        options.head_learning_rate,
        decay_steps=options.steps,
      ),
    ],
    "loop": loop.LoopOptions(
      options.steps,
      summary_steps=options.validation_steps,
      validation_steps=options.validation_steps,
      best_measure=tag_validation.AUC,
    ),
    "validation": tag_validation.TagValidation(),
    "plateau": plateau,
    "augment": options.augment,
  }


def _is_judged(task: base.Task, clips: clips_lib.ClipDataset) -> bool:
  """Whether any tag has both classes among the validation clips on disk."""
  rows = task.rows("validation")
  targets = task.targets[rows[np.isin(rows, clips.clips)]]
  return bool((targets.any(axis=0) & ~targets.all(axis=0)).any())


def _text(
  mode: str,
  exported: exported_lib.Exported,
  task: base.Task,
  recordings: npt.NDArray[np.int64],
  options: FineTune,
  rate: float,
  seed: int,
) -> str:
  """What a run's directory says of it, one binding a line."""
  decided = options.describe(mode) | {
    "mode": mode,
    "learning_rate": rate,
    "network": exported.fingerprint,
    "task": task.name,
    "num_clips": len(recordings),
    "clips": hashlib.sha256(recordings.astype("<i8").tobytes()).hexdigest(),
    "seed": seed,
  }
  return "".join(
    f"fine_tune.{name} = {value!r}\n"
    for name, value in decided.items()
    if name != "learning_rates"
  )


def _measured(
  folder: str,
  rate: float,
  checkpoint: str,
  network: tuned_network.TunedNetwork,
  task: base.Task,
  clips: clips_lib.ClipDataset,
  strategy: Any,
) -> _Trained:
  found = network.scores(clips.data, "validation", checkpoint, strategy)
  scores = _spread(found, "validation", task, clips)
  used = ~np.isnan(scores).any(axis=1)
  targets = task.targets[task.rows("validation")][used]
  finished = workdir_lib.finished(folder) or {}
  return _Trained(
    learning_rate=rate,
    checkpoint=checkpoint,
    scores=scores,
    validation_auc=tagging.measure(targets, scores[used], task.tags).auc,
    steps=int(finished.get("step", 0)),
    seconds=float(finished.get("seconds", 0.0)),
  )


def _spread(
  scores: npt.NDArray[np.float64],
  split: str,
  task: base.Task,
  clips: clips_lib.ClipDataset,
) -> npt.NDArray[np.float64]:
  """Scores of all clips of a split, NaN for those that are not on disk."""
  rows = task.rows(split)
  found = np.full((len(rows), len(task.tags)), np.nan)
  found[np.isin(rows, clips.clips)] = scores
  return found
