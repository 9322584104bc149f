"""From a recording's style to its sound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.core import seeds
from music_embed.data.corpora.synthetic import instruments, production
from music_embed.data.corpora.synthetic.arrangement import Arrangement
from music_embed.data.corpora.synthetic.world import World

SAMPLE_RATE_HZ = instruments.SAMPLE_RATE_HZ


def render(world: World, index: int) -> npt.NDArray[np.float32]:
  """Renders one recording.

  Args:
    world: the world.
    index: of the recording.

  Returns:
    float32 [samples, channels] in [-1, 1] at `SAMPLE_RATE_HZ`; the mean of
    the channels does not depend on their number.
  """
  recording = world.recordings[index]
  rng = seeds.generator(world.config.seed, "synthetic/render", index)
  artist = world.artists[recording.artist]
  layers = Arrangement(artist, recording, rng).layers()
  return production.produce(world, recording, layers, rng)
