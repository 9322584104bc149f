"""What a model card says of a training run: its data, its stages, figures.

Nothing that names a person, a file or a folder of the machine: of a path only
the last part, which is a run's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from music_embed.core import errors, files, types
from music_embed.data.records import prepared
from music_embed.evaluation import report as report_lib
from music_embed.evaluation import systems
from music_embed.runs import restore
from music_embed.runs import workdir as workdir_lib
from music_embed.training import checkpoints, history, warm_start

_MAX_STAGES = 20


def data(dataset: prepared.PreparedDataset) -> dict[str, Any]:
  """What a dataset is, by counts of its manifest."""
  manifest = dataset.manifest
  counts = manifest.counts
  splits = manifest.options.get("splits", {})
  return {
    "fingerprint": dataset.fingerprint,
    "recordings": sum(manifest.splits.values()),
    "hours": round(counts["audio_s"] / 3600, 2)
    if "audio_s" in counts
    else None,
    "edges": counts.get("edges"),
    "splits": {name: manifest.splits[name] for name in types.SPLITS},
    "split_by": splits.get("by", "recording"),
  }


def training(workdir: str) -> list[dict[str, Any]]:
  """The stages of a curriculum, the first one first.

  Args:
    workdir: directory of the last one's run.

  Returns:
    As far as runs can be found: a warm start is looked for where it is
    configured, then beside the run that takes it.
  """
  stages: list[dict[str, Any]] = []
  checkpoint, place = "best", workdir
  while len(stages) < _MAX_STAGES:
    stage, start = _stage(place)
    step = checkpoints.step_of(restore.checkpoint_of(place, checkpoint))
    if not stages:
      stage["exported_step"] = step
    stages.insert(0, stage)
    if start is None:
      break
    found = _present(start.workdir, place)
    stage["starts_from"]["is_known"] = found is not None
    if found is None:
      break
    checkpoint, place = start.checkpoint, found
  return stages


def _stage(workdir: str) -> tuple[dict[str, Any], warm_start.WarmStart | None]:
  """A run, and what it starts from."""
  arguments = restore.configured(workdir)
  begun = _read(workdir, "run.json")
  ended = workdir_lib.finished(workdir) or {}
  augment = arguments.get("augment")
  start: warm_start.WarmStart | None = arguments.get("warm_start")
  stage = {
    "name": _name(workdir),
    "objectives": [
      {
        "name": type(task.objective).__name__,
        "source": type(task.source).__name__,
        "weight": task.weight,
      }
      for task in arguments["tasks"]
    ],
    "optimizers": [_optimizer(x) for x in arguments["optimizers"]],
    "augmentation": None if augment is None else type(augment).__name__,
    "seed": arguments.get("seed", 0),
    "steps": ended.get("step"),
    "windows_per_step": begun.get("windows_per_step"),
    "ended_by": ended.get("ended_by"),
    "precision": begun.get("precision"),
    "tensorflow": begun.get("tensorflow"),
    "starts_from": start
    and {
      "stage": _name(start.workdir),
      "parts": list(start.parts),
      "checkpoint": start.checkpoint,
    },
  }
  return stage, start


def _optimizer(optimizer: Any) -> dict[str, Any]:
  decay = optimizer.decay_steps
  schedule = "constant" if decay is None else f"cosine over {decay:,} steps"
  if optimizer.warmup_steps:
    schedule += f" after {optimizer.warmup_steps:,} of warm-up"
  return {
    "optimizer": optimizer.optimizer,
    "learning_rate": optimizer.learning_rate,
    "schedule": schedule,
    "parts": list(optimizer.parts),
  }


def _read(workdir: str, name: str) -> dict[str, Any]:
  path = files.join(workdir, name)
  return dict(files.read_json(path)) if files.exists(path) else {}


def _name(workdir: str) -> str:
  return os.path.basename(os.path.normpath(workdir))


def _present(configured: str, workdir: str) -> str | None:
  """Where a run that another one starts from lies now; None where unknown."""
  beside = files.join(os.path.dirname(os.path.normpath(workdir)))
  for place in (configured, files.join(beside, _name(configured))):
    try:
      workdir_lib.config_path(place)
    except errors.ConfigError:
      continue
    if warm_start.latest(place, warm_start.LAST) is not None:
      return place
  return None


def validation(workdir: str) -> dict[str, Any] | None:
  """What the run measured of the exported checkpoint; None where nothing."""
  step = checkpoints.step_of(restore.checkpoint_of(workdir, "best"))
  path = files.join(workdir, history.FILE_NAME)
  rows = [
    row
    for row in (history.read(path) if files.exists(path) else [])
    if row.get("split") == "validation" and row.get("step") == step
  ]
  if not rows:
    return None
  values = {k: v for k, v in rows[-1].items() if k not in ("step", "split")}
  return {
    "what": "On the validation part, by which this checkpoint was chosen: that"
    " flatters it.",
    "columns": list(values),
    "rows": {_name(workdir): values},
  }


def measured(
  report_path: str, workdir: str, dataset: prepared.PreparedDataset
) -> dict[str, Any]:
  """What `launch/evaluate.py` measured of a run, beside its baselines.

  Args:
    report_path: its report.json.
    workdir: directory of the run.
    dataset: that it was trained on.

  Raises:
    ConfigError: there is no such file, it is no such report, or one of other
      networks or another dataset.
    DataError: it is damaged.
  """
  if not files.exists(report_path):
    raise errors.ConfigError(f"--report={report_path}: no such file")
  found = files.read_json(report_path)
  try:
    name = _system(found, workdir, dataset, report_path)
    return _measured(found, name)
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise errors.ConfigError(
      f"--report={report_path}: not a report.json of launch/evaluate.py"
      f" ({type(error).__name__}: {error})"
    ) from error


def _system(
  found: Mapping[str, Any],
  workdir: str,
  dataset: prepared.PreparedDataset,
  path: str,
) -> str:
  """The name under which a report knows a run: by the weights, not by path."""
  inputs = found["inputs"]
  if inputs["dataset"] != dataset.fingerprint:
    raise errors.ConfigError(
      f"--report={path}: is of another dataset than {dataset.directory}"
    )
  checkpoint = restore.checkpoint_of(workdir, "best")
  digest = files.sha256(f"{checkpoint}.index")
  for name, other in inputs["models"].items():
    if other == digest:
      return str(name)
  raise errors.ConfigError(
    f"--report={path}: has not measured the checkpoint of {workdir} that is"
    f" exported, but {', '.join(inputs['models'])}: evaluate it first"
    " (launch/evaluate.py)"
  )


def _measured(found: Mapping[str, Any], name: str) -> dict[str, Any]:
  networks = set(found["inputs"]["models"])
  baselines = [x for x in found["link"] if x not in networks]
  shown = [name, *systems.ordered(baselines)]
  pool = found["link_variants"][report_lib.HEADLINE]
  counts = found["dataset"]
  return {
    "what": f"On the evaluation part, {counts['recordings']['evaluation']:,}"
    " recordings that training has not seen: link prediction (which pairs are"
    " listened to by the same people; chance has an AP of"
    f" {pool['prevalence']:.4f}) and label prediction (mean AUC of"
    f" {counts['labels']:,} labels), with 95 % intervals.",
    "columns": ["link AP", "link AUC", "label AUC"],
    "rows": {system: _row(found, system) for system in shown},
    "notes": [f"- `{x}`: {found['systems'][x]}" for x in shown],
  }


def _row(found: Mapping[str, Any], system: str) -> dict[str, Any]:
  """Figures with their intervals, where there are such."""
  row = {}
  for column, task, key in (
    ("link AP", "link", "ap"),
    ("link AUC", "link", "auc"),
    ("label AUC", "label", "auc"),
  ):
    value = found[task].get(system, {}).get(key)
    interval = found["intervals"][task].get(system, {}).get(key)
    row[column] = value if value is None or not interval else [value, *interval]
  return row
