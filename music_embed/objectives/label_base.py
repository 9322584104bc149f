"""What losses on text labels have in common."""

from __future__ import annotations

from music_embed.core import errors
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
