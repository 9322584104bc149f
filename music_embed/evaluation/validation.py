"""Measures that training follows on the validation part: pure functions."""

from __future__ import annotations

import scipy.sparse

from music_embed.evaluation import label_prediction, link_prediction
from music_embed.evaluation.arrays import Array
from music_embed.evaluation.systems import Parts


def link_measures(
  embeddings: Array, edges: Array, *, seed: int = 0
) -> dict[str, float]:
  """Link prediction, the *graph* variant, on one part.

  Args:
    embeddings: float32 `[recordings, dim]`.
    edges: int64 `[edges, 2]`, rows of the part, i < j.
    seed: of the draw of recordings in a part of more than 2,500.

  Returns:
    "link_ap" and "link_auc"; nothing where they cannot be decided.
  """
  pool = link_prediction.graph_pairs(edges, len(embeddings), seed=seed)
  if not pool.is_decidable:
    return {}
  measured = link_prediction.measure(pool, embeddings)
  return {"link_ap": measured.ap, "link_auc": measured.auc}


def label_measures(
  scores: Array,
  targets: scipy.sparse.csr_matrix,
  *,
  min_occurrences: int = 10,
) -> dict[str, float]:
  """Label prediction on one part.

  Args:
    scores: `[recordings, labels]`, higher is more likely.
    targets: sparse 0/1 `[recordings, labels]`.
    min_occurrences: rarer labels are left out.

  Returns:
    "label_auc"; nothing where no label can be decided.
  """
  task = label_prediction.label_task(
    Parts(targets, targets, targets), min_occurrences=min_occurrences
  )
  if not len(task.label_ids):
    return {}
  auc = label_prediction.mean_auc(task.positive, scores[:, task.label_ids])
  return {"label_auc": auc}
