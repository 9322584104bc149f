"""Learning curves as small panels, from rows of history.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from music_embed.evaluation import tables
from music_embed.evaluation.arrays import Array
from music_embed.evaluation.page import svg

_WIDTH, _HEIGHT = 440, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 112, 36, 32
_MAX_POINTS = 200
_NAMES: dict[str, str] = {
  "link_ap": "link AP",
  "link_auc": "link AUC",
  "cf_link_ap": "CF link AP",
  "cf_link_auc": "CF link AUC",
  "label_auc": "label AUC",
}

Series = dict[str, tuple[Array, Array]]
"""By name: steps and values."""


def series(rows: Sequence[Mapping[str, Any]], split: str) -> Series:
  """Collects the measures of a split; long ones are averaged to 200 points.

  Args:
    rows: `{"step": s, "split": ..., "<measure>": value}`.
    split: "train" or "validation".

  Returns:
    Steps and values, float64 `[points]` each, by measure.
  """
  collected: dict[str, list[tuple[float, float]]] = {}
  for row in rows:
    if row.get("split") != split:
      continue
    for name, value in row.items():
      if name not in ("step", "split") and isinstance(value, int | float):
        collected.setdefault(name, []).append((row["step"], value))
  return {name: _thinned(points) for name, points in collected.items()}


def panels(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
  """A model's panels: one for each training loss, one for validation.

  Args:
    name: of the model.
    rows: of its history.
  """
  validation = series(rows, "validation")
  drawn = []
  for measure, points in series(rows, "train").items():
    if measure.endswith("loss"):
      both = {"training": points}
      if measure in validation:
        both["validation"] = validation.pop(measure)
      drawn.append(panel(f"{name}: {measure}", both))
  measures = {
    label: validation[measure]
    for measure, label in _NAMES.items()
    if measure in validation
  }
  if measures:
    drawn.append(panel(f"{name}: validation", measures, high=1.0))
  return drawn


def _thinned(points: list[tuple[float, float]]) -> tuple[Array, Array]:
  values = np.array(points, np.float64)
  values = values[np.isfinite(values).all(axis=1)]
  blocks = np.array_split(values, min(_MAX_POINTS, max(len(values), 1)))
  means = np.array([b.mean(axis=0) for b in blocks if len(b)]).reshape(-1, 2)
  return means[:, 0], means[:, 1]


def panel(
  title: str,
  lines: Series,
  high: float | None = None,
  faint: Mapping[str, tuple[Array, Array]] | None = None,
) -> str:
  """One drawing; empty where there is no point.

  Args:
    title: above it.
    lines: steps and values by name, each with its last value beside it.
    high: upper end of the scale; None takes the greatest value.
    faint: drawn behind the line of the same name, unlabelled; the scale does
      not follow it.
  """
  lines = {name: points for name, points in lines.items() if len(points[0])}
  steps = np.concatenate([[0.0], *(x for x, _ in lines.values())])
  values = np.concatenate([[], *(y for _, y in lines.values())])
  if not len(values):
    return ""
  low = min(0.0, float(values.min()))
  high = high or float(values.max()) * 1.04 or 1.0
  last_step = max(float(steps.max()), 1.0)
  width = _WIDTH - _LEFT - _RIGHT
  height = _HEIGHT - _TOP - _BOTTOM

  def x_of(step: Any) -> Any:
    return _LEFT + step / last_step * width

  def y_of(value: Any) -> Any:
    return _TOP + (high - value) / max(high - low, 1e-12) * height

  body = [svg.text(12, 20, title, "head")]
  for tick in svg.ticks(low, high, 4):
    body.append(svg.line(_LEFT, y_of(tick), _LEFT + width, y_of(tick), "grid"))
    label = svg.tick_label(tick)
    body.append(svg.text(_LEFT - 6, y_of(tick) + 4, label, "tick", "end"))
  for tick in svg.ticks(0.0, last_step, 3):
    label = svg.tick_label(tick)
    body.append(svg.text(x_of(tick), _HEIGHT - 11, label, "tick", "middle"))
  body.append(svg.text(_LEFT + width + 26, _HEIGHT - 11, "steps", "tick"))
  ends = _spread({name: float(y_of(y[-1])) for name, (_, y) in lines.items()})
  for place, (name, (x, y)) in enumerate(lines.items()):
    if faint and name in faint:
      x_faint, y_faint = faint[name]
      seen = np.clip(y_of(y_faint), _TOP, _HEIGHT - _BOTTOM)
      body.append(
        f'<polyline points="{svg.polyline(x_of(x_faint), seen)}" fill="none" '
        f'class="s{place % 8}" stroke-width="1" opacity=".3"/>'
      )
    body.append(
      f'<polyline points="{svg.polyline(x_of(x), y_of(y))}" fill="none" '
      f'class="s{place % 8}" stroke-width="2" stroke-linejoin="round"/>'
    )
    body.append(
      f'<circle cx="{x_of(x[-1]):.1f}" cy="{y_of(y[-1]):.1f}" r="3" '
      f'class="c{place % 8}"/>'
    )
    label = f"{name} " if len(lines) > 1 else ""
    label += tables.number(float(y[-1]))
    body.append(
      f'<text x="{_LEFT + width + 8}" y="{ends[name]:.1f}" class="tick" '
      f'style="fill:var(--c{place % 8})">{svg.escape(label)}</text>'
    )
  return svg.drawing(_WIDTH, _HEIGHT, title, body)


def _spread(wanted: dict[str, float], apart: float = 14.0) -> dict[str, float]:
  """Moves labels apart, upwards from the lowest."""
  placed: dict[str, float] = {}
  floor = float(_HEIGHT - _BOTTOM + 4)
  for name in sorted(wanted, key=lambda name: -wanted[name]):
    placed[name] = min(wanted[name] + 4, floor)
    floor = placed[name] - apart
  return placed
