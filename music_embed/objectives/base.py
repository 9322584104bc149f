"""What an objective is to the training loop."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class Objective(abc.ABC):
  """A loss over a batch, computed by each replica on its own slice.

  Attributes:
    name: short name for summaries.
    parts: parts of the network that it trains, by `Embedder.parts`.
  """

  name: str
  parts: tuple[str, ...]

  @property
  @abc.abstractmethod
  def metric_names(self) -> tuple[str, ...]:
    """Names of the metrics that a call returns."""

  @abc.abstractmethod
  def __call__(
    self,
    model: Any,
    batch: Mapping[str, tf.Tensor],
    *,
    training: bool,
    weight: float = 1.0,
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """This replica's share of the loss and of the metrics.

    Called in replica context. Summed over replicas, the losses are the loss of
    the global batch, and each metric its global value; gradients summed over
    replicas are the gradient of the global loss.

    Args:
      model: an `Embedder`, or a network with its methods.
      batch: this replica's slice along axis 0; WINDOWS already dequantised.
      training: whether the network trains on this batch.
      weight: factor that the stage gives the loss. The loss comes back
        without it; it is for parts that update themselves meanwhile.

    Returns:
      A scalar loss and scalar metrics by name, in at least float32.
    """
