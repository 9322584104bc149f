"""Do labels split by sense predict the unsplit labels better?

The raw AUC of split labels says nothing: it is high where the cluster alone
predicts. So all heads are judged on the same unsplit targets, the split ones
by posteriors summed over a term's senses, beside a control whose clusters are
shuffled among the recordings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from music_embed.evaluation import bootstrap
from music_embed.evaluation.arrays import Array

KINDS = ("unsplit", "summed", "shuffled")


@dataclasses.dataclass(frozen=True)
class HeadScores:
  """Scores of unsplit labels by heads that were fitted alike.

  Attributes:
    unsplit: `[recordings, labels]`, of a head on unsplit labels.
    summed: `[recordings, labels]`, of one on senses, summed over a label's.
    shuffled: likewise where clusters are shuffled, one array a shuffle.
  """

  unsplit: Array
  summed: Array
  shuffled: tuple[Array, ...]


def measure(
  positive: Array,
  scores: HeadScores,
  is_ambiguous: Array,
  *,
  num_bootstrap: int = 1_000,
  seed: int = 0,
) -> dict[str, Any]:
  """Mean AUC of ambiguous labels and of the others, by kind of head.

  Args:
    positive: bool `[recordings, labels]`.
    scores: of the same recordings and labels.
    is_ambiguous: bool `[labels]`.
    num_bootstrap: resamples of the recordings for the intervals.
    seed: of the resamples.

  Returns:
    "ambiguous" and "others", each with "terms", "auc_unsplit", "auc_summed",
    "auc_shuffled" (mean over shuffles), their "intervals" by kind, and the
    paired differences "summed_above_unsplit" and "summed_above_shuffled"
    ("difference", "interval"); NaN without a label.
  """
  resamples = np.concatenate(
    [
      np.ones((len(positive), 1), np.int64),  # The recordings themselves.
      bootstrap.multiplicities(len(positive), num_bootstrap, seed),
    ],
    axis=1,
  )
  return {
    name: _group(positive[:, chosen], _columns(scores, chosen), resamples)
    for name, chosen in (
      ("ambiguous", is_ambiguous),
      ("others", ~is_ambiguous),
    )
  }


def _columns(scores: HeadScores, chosen: Array) -> dict[str, Array]:
  named = {
    "unsplit": scores.unsplit[:, chosen],
    "summed": scores.summed[:, chosen],
  }
  for place, values in enumerate(scores.shuffled):
    named[f"shuffled/{place}"] = values[:, chosen]
  return named


def _group(
  positive: Array, scores: Mapping[str, Array], resamples: Array
) -> dict[str, Any]:
  replicates = bootstrap.label_replicates(positive, scores, resamples)
  control = [v["auc"] for k, v in replicates.items() if k.startswith("shuf")]
  nothing = np.full(resamples.shape[1], np.nan)
  auc = {
    "unsplit": replicates["unsplit"]["auc"],
    "summed": replicates["summed"]["auc"],
    "shuffled": np.mean(control, axis=0) if control else nothing,
  }
  result: dict[str, Any] = {"terms": positive.shape[1]}
  result |= {f"auc_{kind}": float(auc[kind][0]) for kind in KINDS}
  result["intervals"] = {kind: _interval(auc[kind][1:]) for kind in KINDS}
  for kind in ("unsplit", "shuffled"):
    difference = auc["summed"] - auc[kind]
    result[f"summed_above_{kind}"] = {
      "difference": float(difference[0]),
      "interval": _interval(difference[1:]),
    }
  return result


def _interval(replicates: Array) -> list[float]:
  return bootstrap.Interval.of(replicates).to_json()
