"""A task of a stage: what to minimise, on which batches, how much of it."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, Self

import tensorflow as tf

from music_embed.core import types
from music_embed.objectives import base


class Source(Protocol):
  """Gives global batches; batch s is a pure function of (seed, s).

  Attributes:
    runs_python: whether making a batch takes Python, not TensorFlow alone.
  """

  runs_python: bool

  def scaled(self, replicas: int) -> Self:
    """The source whose global batch is as many times this one's."""

  def tuned(self, num_parallel_calls: int, prefetch_batches: int) -> Self:
    """The same batches, made by other means."""

  @property
  def available(self) -> range | None:
    """The steps that there are batches for; None where they never end."""

  def batches(
    self, dataset: Any, *, seed: int, first_step: int, worker: types.Slice
  ) -> tf.data.Dataset:
    """A worker's rows of each batch, from batch `first_step` on."""


@dataclasses.dataclass(frozen=True)
class Task:
  """One term of a stage's loss.

  Attributes:
    objective: the loss.
    source: its batches.
    weight: factor of the loss in the stage's sum.
  """

  objective: base.Objective
  source: Source
  weight: float = 1.0
