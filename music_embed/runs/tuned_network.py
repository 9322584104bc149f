"""The network of an export under a new head for a benchmark's tags."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.records import prepared
from music_embed.export import exported as exported_lib
from music_embed.models import embedder as embedder_lib
from music_embed.models.heads import label_hidden, label_logistic
from music_embed.runs import restore, validation
from music_embed.training import strategy as strategy_lib
from music_embed.training import warm_start

_LEAST_PRIOR, _GREATEST_PRIOR = 1e-3, 0.5


@dataclasses.dataclass(frozen=True)
class TunedNetwork:
  """Makes the network, as often as it is asked to.

  Attributes:
    exported: says what backbone and projection are.
    hidden_units: of the head's hidden layer; None for a linear head.
    prior: probability that every tag starts with.
  """

  exported: exported_lib.Exported
  hidden_units: int | None
  prior: float

  def unbuilt(self) -> embedder_lib.Embedder:
    """The network, without variables yet.

    Raises:
      ConfigError: the export does not say how its network is made.
    """
    network = self.exported.unbuilt()
    prior = min(max(self.prior, _LEAST_PRIOR), _GREATEST_PRIOR)
    head = label_logistic.LabelLogisticHead(prior=prior)
    if self.hidden_units is not None:
      head = label_hidden.LabelHiddenHead(units=self.hidden_units, prior=prior)
    return embedder_lib.Embedder(
      backbone=network.backbone,
      projection=network.projection,
      label_head=head,
    )

  def scores(
    self,
    data: prepared.PreparedDataset,
    split: str,
    checkpoint: str,
    strategy: Any = None,
  ) -> npt.NDArray[np.float64]:
    """Probabilities of the tags by a trained network.

    Args:
      data: the clips.
      split: whose clips are scored.
      checkpoint: prefix of one of the network's.
      strategy: one of `training.strategy`; None takes one device.

    Returns:
      Means over windows, float64 [clips, tags].

    Raises:
      DataError: the checkpoint is damaged.
    """
    num_tags = len(data.vocabulary)
    recordings = data.split_range(split)
    if not recordings:
      return np.zeros((0, num_tags))
    placement = (strategy or strategy_lib.OneDevice()).create()
    with placement.scope():
      network = self.unbuilt()
      restore.build(network, data, seed=0)
      warm_start.load_parts(network.parts, checkpoint)
    runner = validation.recording_embedder(
      network, data, label_ids=np.arange(num_tags), strategy=placement
    )
    found = runner(validation.all_windows(data, recordings)).label_scores
    assert found is not None
    return found.astype(np.float64)
