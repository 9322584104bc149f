"""The paper's tables as text, for a terminal and for tables.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.evaluation import paper_tables, published
from music_embed.evaluation import tables as tables_lib

_Cells = tuple[str, ...]
_Grid = tuple[str, _Cells, list[_Cells]]
"""Title, header, rows."""

_BELOW = "not in the paper's table:"


def text(found: Mapping[str, Any]) -> str:
  """For a terminal.

  Args:
    found: what `paper_tables.tables` gave.
  """
  parts = [
    f"{title}\n\n{tables_lib.grid(header, rows)}"
    for title, header, rows in _grids(found)
  ]
  return "\n\n".join([*parts, *_notes(found)])


def markdown(found: Mapping[str, Any]) -> str:
  """The same as Markdown; arguments as there."""
  parts = []
  for title, header, rows in _grids(found):
    rule = ("---", *("---:" for _ in header[1:]))
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
    parts.append("\n".join([f"## {title}", "", *lines]))
  return "\n\n".join([*parts, *_notes(found)]) + "\n"


def _grids(found: Mapping[str, Any]) -> list[_Grid]:
  return [
    (
      "Table 1: label prediction",
      ("", "paper: AUC", "here: AUC", "95 %", "labels by"),
      _divided(found["table_1"], _label_cells, 5),
    ),
    (
      "Table 2: link prediction",
      (
        "",
        "paper: AP",
        "AUC",
        "of WMF's",
        "here: AP",
        "95 %",
        "AUC",
        "95 %",
        "of WMF's",
      ),
      _divided(found["table_2"], _link_cells, 9),
    ),
    (
      "What the networks were given",
      (
        "",
        "steps",
        "windows seen",
        "CPU min",
        "wall min",
        "all stages: CPU min",
      ),
      [_budget_cells(row) for row in found["budgets"]],
    ),
  ]


def _divided(
  rows: Sequence[Mapping[str, Any]], cells: Any, columns: int
) -> list[_Cells]:
  inside = [cells(row) for row in rows if row["in_paper"]]
  others = [cells(row) for row in rows if not row["in_paper"]]
  rule = (_BELOW, *("" for _ in range(columns - 1)))
  return [*inside, rule, *others] if others else inside


def _label_cells(row: Mapping[str, Any]) -> _Cells:
  paper = tables_lib.number(row["paper"]["auc"]) if row["in_paper"] else ""
  here = row["here"]
  if here is None:
    return (row["row"], paper, row["state"], "", "")
  return (
    row["row"],
    paper,
    tables_lib.number(here["auc"]),
    tables_lib.interval(here["auc_interval"]),
    here["readout"],
  )


def _link_cells(row: Mapping[str, Any]) -> _Cells:
  paper: _Cells = ("", "", "")
  if row["in_paper"]:
    digits = 4 if row["paper"]["ap"] < 0.001 else 3
    paper = (
      tables_lib.number(row["paper"]["ap"], digits),
      tables_lib.number(row["paper"]["auc"]),
      _shares(row["paper"]),
    )
  here = row["here"]
  if here is None:
    return (row["row"], *paper, row["state"], "", "", "", "")
  return (
    row["row"],
    *paper,
    tables_lib.number(here["ap"]),
    tables_lib.interval(here["ap_interval"]),
    tables_lib.number(here["auc"]),
    tables_lib.interval(here["auc_interval"]),
    _shares(here),
  )


def _budget_cells(row: Mapping[str, Any]) -> _Cells:
  budget, all_stages = row["budget"], row["all_stages"]
  if budget is None:
    return (row["row"], row["state"], "", "", "", "")
  steps = f"{budget['steps']:,}"
  if budget["ended_by"] == "level":
    steps += " (level)"
  windows = budget["windows"]
  return (
    row["row"],
    steps,
    "-" if windows is None else f"{windows:,}",
    _minutes(budget["cpu_seconds"]),
    _minutes(budget["seconds"]),
    _minutes(all_stages["cpu_seconds"]),
  )


def _notes(found: Mapping[str, Any]) -> list[str]:
  notes = [published.DATA]
  if found["prevalence"] is not None:
    notes.append(
      f"Here: link prediction by the {found['link_variant']} variant, where a "
      f"random ranking has AP {tables_lib.number(found['prevalence'])}; "
      "report.html has the paper's own protocol and every read-out. Intervals "
      "are bootstrapped over recordings."
    )
  notes.append(
    "Steps, windows, CPU and wall minutes are of a network's last stage; "
    '"all stages" adds those that it started from. CPU minutes are user and '
    "system time of all threads, validation included, over interruptions."
  )
  notes += [
    f"{row['row']}: {row['state']}: {row['reason']}"
    for row in found["budgets"]
    if row["state"] != paper_tables.TRAINED and row["reason"]
  ]
  return notes


def _shares(numbers: Mapping[str, Any]) -> str:
  ap, auc = numbers["ap_of_wmf"], numbers["auc_of_wmf"]
  if ap is None or auc is None:
    return "-"
  return f"{100 * ap:.1f} / {100 * auc:.1f} %"


def _minutes(seconds: float | None) -> str:
  return "-" if seconds is None else f"{seconds / 60:.1f}"
