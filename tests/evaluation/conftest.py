"""A small problem that all tests of reports share."""

import numpy as np
import pytest
import scipy.sparse

from music_embed.evaluation import baselines, label_prediction, report
from music_embed.evaluation.systems import Parts, System

_SIZES = Parts(np.arange(60), np.arange(24), np.arange(40))


def _material(seed: int = 0) -> report.Material:
  """Two groups of recordings; `hybrid` knows them well, `ridge` a little."""
  random = np.random.default_rng(seed)
  groups = _SIZES.map(lambda rows: np.arange(len(rows)) % 2)
  centres = random.standard_normal((2, 8))

  def knowing(noise: float) -> Parts:
    return groups.map(
      lambda g: centres[g] + noise * random.standard_normal((len(g), 8))
    )

  targets = groups.map(
    lambda g: scipy.sparse.csr_matrix(
      np.stack([g, 1 - g], axis=1).astype(np.float32)
    )
  )
  evaluation = groups.evaluation
  same = evaluation[:, None] == evaluation[None, :]
  edges = np.argwhere(np.triu(same & (random.random(same.shape) < 0.7), k=1))
  hybrid = knowing(0.5)
  return report.Material(
    systems={
      "wmf": System(knowing(0.01)),
      "hybrid": System(hybrid, hybrid.evaluation[:, :2], "a network"),
      "audio_statistics": System(knowing(5.0)),
      "random": System(baselines.random_embeddings(_SIZES, dim=8)),
    },
    edges=edges,
    artists=["a", "b", "", ""] * 10,
    labels=label_prediction.label_task(targets, min_occurrences=5),
  )


@pytest.fixture(scope="session")
def make_material():
  """Makes the same material at every call."""
  return _material
