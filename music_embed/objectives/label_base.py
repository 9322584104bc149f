"""What losses on text labels have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from music_embed.core import errors, keys
from music_embed.objectives import base


class LabelObjective(base.Objective):
  """A loss over labelled windows; others count for nothing."""

  parts = ("backbone", "projection", "label_head")

  def __init__(self, *, reduction: str = "mean") -> None:
    """Makes the objective.

    Args:
      reduction: "mean" over the global batch's labelled windows, or "sum".

    Raises:
      ConfigError: an unknown `reduction`.
    """
    if reduction not in ("sum", "mean"):
      raise errors.ConfigError(
        f"{type(self).__name__}.reduction={reduction!r}: sum or mean"
      )
    self._reduction = reduction

  @property
  def metric_names(self) -> tuple[str, ...]:
    """See `Objective`."""
    return ("labelled", "top_label_hit")

  @staticmethod
  def embedding(
    model: Any, batch: Mapping[str, tf.Tensor], *, training: bool
  ) -> tf.Tensor:
    """The batch's own embeddings where it holds some, else the network's.

    Args:
      model: an `Embedder`; backbone and projection are left alone where the
        batch holds EMBEDDING.
      batch: EMBEDDING [batch, dim], or WINDOWS [batch, *window_shape].
      training: whether the network trains on this batch.

    Returns:
      [batch, dim].
    """
    if keys.EMBEDDING in batch:
      return batch[keys.EMBEDDING]
    return model.embed(batch[keys.WINDOWS], training=training)
