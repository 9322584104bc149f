"""Optimisers by the parts of the network that they train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import Any

import tf_keras
from official.modeling import optimization

from music_embed.core import errors


@dataclasses.dataclass(frozen=True)
class PartOptimizer:
  """One optimiser and the parts that it trains; a part without one is frozen.

  Optimisers and schedules are tf-models-official's
  (`official.modeling.optimization`), configured by its own field names.

  Attributes:
    parts: names among "backbone", "projection", "label_head".
    learning_rate: constant rate, or the initial one of the decay.
    optimizer: type name of tf-models-official, e.g. "adam", "sgd", "lars".
    optimizer_options: its fields, e.g. {"beta_1": 0.9, "epsilon": 1e-7}.
    decay_steps: cosine decay from `learning_rate` to 0 over these steps; None
      keeps the rate constant.
    warmup_steps: linear warm-up from 0.
  """

  parts: Sequence[str]
  learning_rate: float
  optimizer: str = "adam"
  optimizer_options: Mapping[str, Any] | None = None
  decay_steps: int | None = None
  warmup_steps: int = 0

  def create(self) -> tf_keras.optimizers.Optimizer:
    """Builds the (non-legacy) Keras optimiser; call in the strategy's scope.

    Raises:
      ConfigError: tf-models-official knows no such optimiser or field.
    """
    try:
      factory = optimization.OptimizerFactory(self._config())
      return factory.build_optimizer(
        self.schedule(), use_legacy_optimizer=False
      )
    except (KeyError, ValueError, TypeError) as error:
      raise errors.ConfigError(
        f"PartOptimizer.optimizer {self.optimizer!r}: {error}"
      ) from error

  def schedule(self) -> Any:
    """The learning rate: a number, or a Keras schedule (step -> rate)."""
    return optimization.OptimizerFactory(self._config()).build_learning_rate()

  def _config(self) -> optimization.OptimizationConfig:
    if self.decay_steps is None:
      rate = {
        "type": "constant",
        "constant": {"learning_rate": self.learning_rate},
      }
    else:
      rate = {
        "type": "cosine",
        "cosine": {
          "initial_learning_rate": self.learning_rate,
          "decay_steps": self.decay_steps,
        },
      }
    options = dict(self.optimizer_options or {})
    config: dict[str, Any] = {
      "optimizer": {"type": self.optimizer, self.optimizer: options},
      "learning_rate": rate,
    }
    if self.warmup_steps:
      config["warmup"] = {
        "type": "linear",
        "linear": {"warmup_steps": self.warmup_steps},
      }
    return optimization.OptimizationConfig(config)


def check_parts(
  optimizers: Sequence[PartOptimizer],
  parts: Mapping[str, Any],
  used: Set[str],
) -> None:
  """Checks that every named part exists, is used, and has one optimiser.

  Args:
    optimizers: of the stage.
    parts: the network's, by name.
    used: those that the stage's objectives need.

  Raises:
    ConfigError: a part is unknown, missing, unused, or claimed twice.
  """
  for part in sorted(used - parts.keys()):
    raise errors.ConfigError(
      f"an objective of this stage needs the part {part!r}, which the network "
      f"lacks: bind Embedder.{part}"
    )
  seen: set[str] = set()
  for optimizer in optimizers:
    for part in optimizer.parts:
      if part not in parts:
        raise errors.ConfigError(
          f"PartOptimizer.parts names {part!r}; the network has "
          f"{', '.join(sorted(parts))}"
        )
      if part not in used:
        raise errors.ConfigError(
          f"PartOptimizer.parts names {part!r}, which no objective of this "
          f"stage trains"
        )
      if part in seen:
        raise errors.ConfigError(
          f"PartOptimizer.parts: {part!r} has two optimisers"
        )
      seen.add(part)
