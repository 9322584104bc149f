"""The table by which the number of clusters is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from music_embed.evaluation import senses, tables
from music_embed.evaluation.arrays import Array

_HEADER = (
  "clusters",
  "labels",
  "split AUC",
  "unsplit",
  "summed",
  "shuffled",
  "gain",
  "+-",
  "found",
  "unsplit",
  "summed",
  "others",
  "summed",
)


def row(
  *,
  num_clusters: int,
  num_labels: int,
  num_senses: int,
  auc: senses.TermAuc,
  judged: Array,
  ambiguous: Sequence[tuple[str, float]],
  ambiguous_terms: Array,
) -> dict[str, Any]:
  """What one number of clusters came to, as JSON.

  Args:
    num_clusters: k.
    num_labels: labels after splitting.
    num_senses: those that are split.
    auc: of all judged terms.
    judged: terms over which numbers of clusters are compared, int [terms].
    ambiguous: words that were found to be ambiguous, with their scores.
    ambiguous_terms: their indices, int [words].

  Returns:
    "num_clusters", "labels", "senses", "auc_split" (raw, inflated, of
    "split_labels" labels), the means of `TermAuc.means` over the terms that
    numbers are compared by, the same under "all", "found" (ambiguous words)
    and "others", and "words".
  """
  others = np.setdiff1d(auc.terms, ambiguous_terms)
  return senses.rounded(
    {
      "num_clusters": num_clusters,
      "labels": num_labels,
      "senses": num_senses,
      "auc_split": senses.finite(auc.split_auc),
      "split_labels": auc.num_split,
      **auc.means(judged),
      "all": senses.rounded(auc.means()),
      "found": senses.rounded(auc.means(ambiguous_terms)),
      "others": senses.rounded(auc.means(others)),
      "words": {word: round(score, 6) for word, score in ambiguous},
    }
  )


def best(rows: Sequence[Mapping[str, Any]]) -> int:
  """The number of clusters with the largest gain; of equals the smallest."""
  ordered = sorted(rows, key=lambda r: int(r["num_clusters"]))
  chosen = max(ordered, key=lambda r: float(r["gain"]))
  return int(chosen["num_clusters"])


def line(values: Mapping[str, Any]) -> str:
  """One row in one line, for progress."""
  return (
    f"{values['num_clusters']} clusters: summed"
    f" {tables.number(values['auc_summed'])}, shuffled"
    f" {tables.number(values['auc_shuffled'])}, gain {_signed(values['gain'])}"
  )


def text(rows: Sequence[Mapping[str, Any]], chosen: int) -> str:
  """The table for a terminal, the choice marked.

  Args:
    rows: see `row`.
    chosen: the number of clusters that was chosen.
  """
  lines = [_cells(values, chosen) for values in rows]
  return "\n".join(
    [
      tables.grid(_HEADER, lines),
      f"On the validation part: AUC of {rows[0]['terms']} terms that some"
      " cluster uses more than",
      "its size explains, of the ambiguous words found, and of all others. The"
      " choice (*) is",
      "the largest gain, summed - shuffled; +- is its standard error over"
      " terms. The raw AUC",
      "of split labels is inflated: the cluster alone predicts.",
    ]
  )


def _cells(values: Mapping[str, Any], chosen: int) -> list[str]:
  mark = "*" if values["num_clusters"] == chosen else " "
  means = [
    tables.number(values[f"auc_{name}"])
    for name in ("split", "unsplit", "summed", "shuffled")
  ]
  return [
    f"{values['num_clusters']:>3} {mark}",
    f"{values['labels']:,}",
    *means,
    _signed(values["gain"]),
    tables.number(values["gain_error"], 4),
    str(len(values["words"])),
    *(
      tables.number(values[part][f"auc_{name}"])
      for part in ("found", "others")
      for name in ("unsplit", "summed")
    ),
  ]


def _signed(value: float | None) -> str:
  if value is None:
    return "-"
  return ("-" if value < 0 else "+") + tables.number(abs(value), 4)
