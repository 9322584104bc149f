"""Measures one row of a benchmark: a probe on vectors, or a trained network."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from music_embed.core import errors, types
from music_embed.data.benchmarks import base
from music_embed.evaluation import probes, retrieval, subsets, tagging
from music_embed.evaluation.arrays import Array
from music_embed.export import exported
from music_embed.runs import (
  benchmark_rows,
  clip_embeddings,
  fine_tune,
)

Vectors = clip_embeddings.ClipEmbeddings


@dataclasses.dataclass(frozen=True)
class Measured:
  """A row's result.

  Attributes:
    result: JSON.
    scores: float64 `[evaluation_clips, tags]`, NaN where a clip has none.
  """

  result: dict[str, Any]
  scores: Array


def training_rows(task: base.Task, share: float, seed: int) -> Array:
  """Positions of the training clips of a share, stratified by tag.

  Clips that turn out to be unusable stay in it, so that all systems are
  given the same ones.

  Returns:
    int64 `[clips]`, increasing.
  """
  rows = task.rows("train")
  if share >= 1.0:
    return rows
  return rows[subsets.stratified(task.targets[rows], share, seed)]


def fixed(
  row: benchmark_rows.Row,
  probe: Any,
  task: base.Task,
  vectors: Vectors,
  *,
  inputs: str,
  seed: int,
) -> Measured:
  """A probe that reads the vectors of a system that stays as it is.

  Args:
    row: says which share of the training clips.
    probe: of `evaluation.probes`.
    task: the clips.
    vectors: theirs.
    inputs: `benchmark_rows.RECORDING_MEAN` or `WINDOW_SCORES`.
    seed: of the subset and the probe.

  Raises:
    DataError: a split has no clip with a vector.
  """
  wanted = {
    "train": training_rows(task, row.share, seed),
    "validation": task.rows("validation"),
    "evaluation": task.rows("evaluation"),
  }
  parts = {
    split: _Part(task, vectors, rows, inputs) for split, rows in wanted.items()
  }
  for split, part in parts.items():
    if not len(part.used):
      raise errors.DataError(f"no {split} clip has a vector")
  fitted = probe.fit(parts["train"].rows, parts["validation"].rows, seed=seed)
  scored = fitted.scores(parts["evaluation"].rows)
  scores = np.full((len(wanted["evaluation"]), len(task.tags)), np.nan)
  scores[vectors.has(wanted["evaluation"])] = scored
  result = _judged(task, scores) | {
    "clips": {
      split: {"wanted": len(wanted[split]), "used": len(part.used)}
      for split, part in parts.items()
    },
    "chosen": fitted.chosen,
    "tried": list(fitted.tried),
    "constant": [task.tags[column] for column in fitted.constant],
  }
  return Measured(result, scores)


def tuned(
  row: benchmark_rows.Row,
  options: fine_tune.FineTune,
  task: base.Task,
  data: base.Benchmark,
  model: exported.Exported,
  *,
  workdir: str,
  cache: str,
  seed: int,
  strategy: Any = None,
) -> Measured:
  """A network that is trained on the benchmark.

  Args:
    row: says from which weights, and on which share of the training clips.
    options: of training.
    task: the clips.
    data: gives their audio.
    model: the network.
    workdir: of its training run.
    cache: for the clips' log-mels.
    seed: of the subset and of training.
    strategy: of `training.strategy`; None for one device.

  Raises:
    ConfigError: the export does not say how its network is made.
    DataError: a split has no clip that can be decoded.
  """
  rows = training_rows(task, row.share, seed)
  found = fine_tune.run(
    row.mode,
    model,
    task,
    data,
    rows,
    workdir,
    cache,
    options,
    seed,
    strategy=strategy,
  )
  rejected = set(found.rejected)
  wanted = {split: task.rows(split) for split in types.SPLITS}
  wanted["train"] = rows
  scores = found.scores["evaluation"]
  result = _judged(task, scores) | {
    "clips": {
      split: {
        "wanted": len(positions),
        "used": sum(int(p) not in rejected for p in positions),
      }
      for split, positions in wanted.items()
    },
    "chosen": {
      "learning_rate": found.learning_rate,
      "best_step": found.best_step,
      "steps": found.steps,
      "validation_auc": _decided(found.validation_auc),
    },
    "constant": [],
    "training_seconds": round(found.seconds, 1),
  }
  return Measured(result, scores)


def described(task: base.Task, vectors: Vectors) -> dict[str, Any]:
  """What a row does not say: who has vectors, and who finds their like.

  Returns:
    JSON: "windows", "dim", "notes", "rejected" clips and why, and
    "retrieval" among the evaluation clips (None where fewer than two have a
    vector).
  """
  rows = task.rows("evaluation")
  used = rows[vectors.has(rows)]
  found = None
  if len(used) > 1:
    artists = task.artists
    found = retrieval.measure(
      vectors.means(used),
      task.targets[used],
      [artists[index] for index in used],
    ).to_json()
  return {
    "windows": len(vectors.windows),
    "dim": vectors.dim,
    "notes": list(vectors.notes),
    "retrieval": found,
    "rejected": [
      {
        "clip_id": task.clips[index].clip_id,
        "audio": task.clips[index].audio,
        "reason": reason,
      }
      for index, reason in sorted(vectors.rejected.items())
    ],
  }


class _Part:
  """What a probe gets of one split."""

  def __init__(
    self, task: base.Task, vectors: Vectors, wanted: Array, inputs: str
  ) -> None:
    self.used = wanted[vectors.has(wanted)]
    targets = task.targets[self.used]
    if inputs == benchmark_rows.WINDOW_SCORES:
      windows, owner = _windows(vectors, self.used)
    else:
      windows, owner = vectors.means(self.used), np.arange(len(self.used))
    self.rows = probes.Rows(windows, owner.astype(np.int64), targets)


def _windows(vectors: Vectors, clips: Array) -> tuple[Array, Array]:
  """All windows of clips, float32 `[windows, dim]`, and whose they are."""
  starts, ends = vectors.indptr[clips], vectors.indptr[clips + 1]
  owner = np.repeat(np.arange(len(clips)), ends - starts)
  rows = np.concatenate(
    [np.arange(s, e) for s, e in zip(starts, ends, strict=True)]
  )
  return np.asarray(vectors.windows[rows], np.float32), owner


def _decided(value: float) -> float | None:
  return None if np.isnan(value) else float(value)


def _judged(task: base.Task, scores: Array) -> dict[str, Any]:
  """Measures of the clips that have scores."""
  has = ~np.isnan(scores).any(axis=1)
  targets = task.targets[task.rows("evaluation")]
  found = tagging.measure(
    targets[has], scores[has], task.tags, task.is_single_label
  )
  return {"tagging": found.to_json()}
