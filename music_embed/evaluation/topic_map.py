"""A 2-D map of recordings, coloured by labels that tell them apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import sklearn.manifold

from music_embed.evaluation import label_prediction
from music_embed.evaluation.arrays import Array

MAX_POINTS = 1_500
"""Recordings on a map; the first ones where there are more."""

_MIN_FOR_TSNE = 20


@dataclasses.dataclass(frozen=True)
class TopicMap:
  """Recordings as points.

  Attributes:
    positions: float64 `[recordings, 2]`, each axis within [0, 1].
    topics: labels that colour the points, most frequent first.
    topic: int64 `[recordings]`, position in `topics`; -1 for none of them.
    titles: `[recordings]`.
    method: "t-SNE" or "PCA".
  """

  positions: Array
  topics: list[str]
  topic: Array
  titles: list[str]
  method: str


def topic_map(
  embeddings: Array,
  positive: Array,
  label_names: list[str],
  titles: list[str],
  *,
  max_topics: int = 8,
  seed: int = 0,
) -> TopicMap:
  """Lays recordings out and chooses the labels that colour them.

  Args:
    embeddings: `[recordings, dim]`.
    positive: bool `[recordings, labels]`.
    label_names: `[labels]`.
    titles: `[recordings]`.
    max_topics: colours at most.
    seed: of the layout.
  """
  embeddings = embeddings[:MAX_POINTS]
  positive = positive[:MAX_POINTS]
  positions, method = layout(embeddings, seed)
  chosen = choose_topics(embeddings, positive, max_topics)
  # Where several apply, the rarest says most.
  topic = np.full(len(embeddings), -1, np.int64)
  for place, label in enumerate(chosen):
    topic[positive[:, label]] = place
  return TopicMap(
    positions,
    [label_names[label] for label in chosen],
    topic,
    titles[:MAX_POINTS],
    method,
  )


def layout(embeddings: Array, seed: int) -> tuple[Array, str]:
  """Positions in the unit square, and the name of the method.

  t-SNE by cosine from a PCA start; PCA alone for a handful of points.

  Args:
    embeddings: `[recordings, dim]`.
    seed: of t-SNE.

  Returns:
    float64 `[recordings, 2]`.
  """
  norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
  unit = (embeddings / np.maximum(norms, 1e-12)).astype(np.float64)
  if len(unit) < _MIN_FOR_TSNE:
    left, scale, _ = np.linalg.svd(unit - unit.mean(axis=0))
    flat = left[:, : len(scale)] * scale
    positions, method = np.pad(flat, ((0, 0), (0, 2)))[:, :2], "PCA"
  else:
    tsne = sklearn.manifold.TSNE(
      perplexity=min(30.0, len(unit) / 5), init="pca", random_state=seed
    )
    positions, method = tsne.fit_transform(unit).astype(np.float64), "t-SNE"
  low, high = positions.min(axis=0), positions.max(axis=0)
  return (positions - low) / np.maximum(high - low, 1e-12), method


def choose_topics(
  embeddings: Array, positive: Array, max_topics: int
) -> list[int]:
  """Labels that are frequent, that embeddings know, and that overlap little.

  Greedy: each label in turn adds the most recordings not yet covered, less
  those covered already, times how far its AUC is above chance (squared). The
  AUC is that of the mean cosine to the label's *other* recordings.

  Args:
    embeddings: `[recordings, dim]`.
    positive: bool `[recordings, labels]`.
    max_topics: the most to choose.

  Returns:
    Columns of `positive`, most frequent first.
  """
  if not positive.shape[1]:
    return []
  norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
  unit = embeddings / np.maximum(norms, 1e-12)
  count = np.maximum(positive.sum(axis=0), 2.0)
  total = unit @ (positive.T.astype(np.float64) @ unit).T
  others = np.where(positive, (total - 1.0) / (count - 1.0), total / count)
  auc = label_prediction.label_auc(positive, others)
  knowledge = np.maximum(np.nan_to_num(auc, nan=0.5) - 0.5, 0.0) ** 2
  knowledge[positive.mean(axis=0) > 0.4] = 0.0  # Too common to be a topic.
  covered = np.zeros(len(positive), bool)
  chosen: list[int] = []
  while len(chosen) < max_topics:
    new = (positive & ~covered[:, None]).sum(axis=0)
    old = (positive & covered[:, None]).sum(axis=0)
    gain = knowledge * (new - old)
    gain[chosen] = 0.0
    best = int(np.argmax(gain))
    if gain[best] <= 0.0:
      break
    chosen.append(best)
    covered |= positive[:, best]
  return sorted(chosen, key=lambda label: (-positive[:, label].sum(), label))
