"""How a model was trained, for the card of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ENDED = {"level": ", where it had levelled off"}


def lines(stages: Sequence[Mapping[str, Any]]) -> list[str]:
  """The stages that a model was trained in, as a list in Markdown."""
  if not stages:
    return ["Not stated."]
  found = []
  for number, stage in enumerate(stages, 1):
    found.append(f"{number}. `{stage['name']}`: {_objectives(stage)}")
    found += [f"   - {line}" for line in _stage(stage)]
  return found


def _objectives(stage: Mapping[str, Any]) -> str:
  """The loss, e.g. "0.5 x TripletObjective + LabelSoftmaxObjective"."""
  terms = [
    objective["name"]
    if objective["weight"] == 1
    else f"{objective['weight']:g} x {objective['name']}"
    for objective in stage["objectives"]
  ]
  return " + ".join(terms)


def _stage(stage: Mapping[str, Any]) -> list[str]:
  lines = []
  if stage["steps"] is not None:
    batch = stage["windows_per_step"]
    windows = f" of {batch:,} windows" if batch else ""
    lines.append(
      f"{stage['steps']:,} steps{windows}{_ENDED.get(stage['ended_by'], '')};"
      f" seed {stage['seed']}; augmentation: {stage['augmentation'] or 'none'}"
    )
  else:
    lines.append("not finished when it was read")
  for optimizer in stage["optimizers"]:
    lines.append(
      f"{optimizer['optimizer']}, learning rate {optimizer['learning_rate']:g}"
      f" ({optimizer['schedule']}), on {', '.join(optimizer['parts'])}"
    )
  if start := stage["starts_from"]:
    lines.append(
      f"starts from {', '.join(start['parts'])} of `{start['stage']}`"
      f" ({start['checkpoint']} checkpoint)"
      + ("" if start["is_known"] else ", of which nothing more is known")
    )
  if stage.get("exported_step") is not None:
    lines.append(f"exported: the checkpoint of step {stage['exported_step']:,}")
  if stage["precision"]:
    lines.append(f"{stage['precision']}, TensorFlow {stage['tensorflow']}")
  return lines
