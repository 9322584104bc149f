"""The table of ablations, and the paper's statements beside what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.evaluation import tables
from tools.ablation import measuring, variants

Report = Mapping[str, Any]


def text(report: Report) -> str:
  """Both tables, with what they mean below.

  Args:
    report: of `measuring.compare`.
  """
  seeds = report["seeds"]
  spread = (
    f"+- standard deviation of the difference over {seeds} seeds"
    if seeds > 1
    else "one seed: no spread over seeds is known"
  )
  fewer = [
    f"{name} has {row['labels']} of them in its vocabulary, and its label AUC"
    " is compared with the baseline's on these"
    for name, row in report["variants"].items()
    if row["labels"] < report["labels"]
  ]
  lines = [
    _numbers(report),
    "",
    f"{report['recordings']} recordings that training never saw,"
    f" {report['labels']} labels"
    + "".join(f"; {note}" for note in fewer)
    + ".",
    f"Steps: {report['steps_scale']:g} of the demo's; last weights.",
    f"difference: from the baseline; {spread}.",
    "* the paired bootstrap's 95 % interval over recordings leaves out zero.",
    "label AUC: by the network's own head; by probe: a ridge on the embedding,"
    " all labels.",
    "norm: mean length of a recording's embedding.",
    "",
    statements(report),
  ]
  return "\n".join(lines)


def _numbers(report: Report) -> str:
  header = ["variant"]
  for title in measuring.MEASURES.values():
    header += [title, "difference"]
  rows = []
  for name, row in report["variants"].items():
    cells = [name]
    for measure in measuring.MEASURES:
      cells.append(tables.number(row[measure]["mean"]))
      cells.append(_difference(row[measure].get("difference")))
    rows.append([*cells, f"{row['norm']:.2f}"])
  return tables.grid([*header, "norm"], rows)


def statements(report: Report) -> str:
  """For each variant what the paper says, and whether it was seen here."""
  blocks = []
  for variant in variants.VARIANTS:
    if variant.name not in report["variants"] or variant.measure is None:
      continue
    if variant.than not in report["variants"]:
      continue
    blocks.append(
      f"{variant.name}\n  the paper: {variant.paper}\n"
      f"  here: {_seen(variant, report['variants'])}"
    )
  return "\n".join(blocks)


def _seen(variant: variants.Variant, rows: Mapping[str, Any]) -> str:
  measure = str(variant.measure)
  if variant.than == variants.BASELINE:
    found = rows[variant.name][measure]["difference"]
    change, interval = found["mean"], found["interval"]
    spread = found["spread"]
  else:
    pairs = zip(
      rows[variant.name][measure]["values"],
      rows[variant.than][measure]["values"],
      strict=True,
    )
    differences = [a - b for a, b in pairs]
    change, interval = sum(differences) / len(differences), None
    spread = _deviation(differences)
  return (
    f"{measuring.MEASURES[measure]} {_signed(change)} from {variant.than}:"
    f" {_verdict(change, variant.sign, interval, spread)}"
  )


def _verdict(
  change: float,
  sign: int,
  interval: Sequence[float] | None,
  spread: float | None,
) -> str:
  """In words: the direction, and whether chance could do it.

  Args:
    change: variant minus what it is compared with.
    sign: of the paper's statement.
    interval: of the bootstrap, where there is one.
    spread: over seeds, where there are several.
  """
  outside = interval is None or interval[0] > 0 or interval[1] < 0
  beyond_seeds = spread is None or abs(change) > spread
  if interval is None and spread is None:
    return "one run, no interval: nothing is shown"
  if not (outside and beyond_seeds):
    return "no clear difference"
  return "as the paper says" if change * sign > 0 else "the other way round"


def _difference(found: Mapping[str, Any] | None) -> str:
  if found is None:
    return ""
  cell = _signed(found["mean"])
  if found["spread"] is not None:
    cell += f" +- {tables.number(found['spread'])}"
  interval = found["interval"]
  clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
  return cell + ("*" if clear else " ")


def _signed(value: float) -> str:
  return f"{'-' if value < 0 else '+'}{tables.number(abs(value))}"


def _deviation(values: Sequence[float]) -> float | None:
  if len(values) < 2:
    return None
  mean = sum(values) / len(values)
  squares = sum((value - mean) ** 2 for value in values)
  return float((squares / (len(values) - 1)) ** 0.5)
