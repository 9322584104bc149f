"""Mixes and colours a recording: what a listener should not care about."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from music_embed.data.corpora.synthetic import (
  arrangement,
  instruments,
  speech,
)
from music_embed.data.corpora.synthetic.world import Recording, World

SAMPLE_RATE_HZ = instruments.SAMPLE_RATE_HZ

_EQ_KNOTS = 9

Signal = npt.NDArray[np.float32]


def produce(
  world: World,
  recording: Recording,
  layers: Signal,
  rng: np.random.Generator,
) -> Signal:
  """Random mix, equaliser, noise floor and gain.

  Args:
    world: the world.
    recording: whose channels and share of music apply.
    layers: float32 [4, samples].
    rng: source of the nuisances.

  Returns:
    float32 [samples, channels] in [-1, 1].
  """
  style = world.artists[recording.artist].style
  levels = np.exp(rng.normal(0.0, 0.45, 4))
  levels[arrangement.DRUMS] *= style.drum_level
  pans = rng.uniform(-0.6, 0.6, 4)
  response_knots = rng.normal(0.0, world.config.eq_db, _EQ_KNOTS)
  is_dull = rng.random() < 0.2
  noise_db = rng.uniform(*world.config.noise_floor_db)
  gain_db = rng.uniform(-10.0, 4.0)

  # Left and right differ by the pans, and their mean is the mono mix.
  sides = [0.0] if recording.num_channels == 1 else [-1.0, 1.0]
  weights = np.stack([levels * (1.0 + side * pans) for side in sides])
  # Not a matrix product: its rounding depends on the number of threads.
  mix = np.zeros((len(sides), layers.shape[1]), np.float32)
  for layer, weight in zip(layers, weights.T.astype(np.float32), strict=True):
    mix += weight[:, None] * layer
  mix = _equalise(mix, response_knots, is_dull)
  if recording.music_share < 0.5:
    mix = speech.talk_over(mix, recording.music_share, rng)
  mix /= np.sqrt(np.mean(np.square(mix.mean(0)))) + 1e-9
  noise = rng.standard_normal(mix.shape[1], dtype=np.float32)
  mix += np.float32(10.0 ** (noise_db / 20.0)) * noise
  mix *= np.float32(0.08 * 10.0 ** (gain_db / 20.0))
  return np.clip(mix.T, -1.0, 1.0)


def _equalise(
  mix: Signal, knots_db: npt.NDArray[np.float64], is_dull: bool
) -> Signal:
  """Applies a smooth random response, even over octaves, to [..., samples]."""
  num_samples = mix.shape[-1]
  length = scipy.fft.next_fast_len(num_samples, real=True)
  hz = scipy.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
  octaves = np.log2(np.maximum(hz, 40.0) / 40.0)
  position = octaves / octaves[-1] * (len(knots_db) - 1)
  response_db = np.interp(position, np.arange(len(knots_db)), knots_db)
  if is_dull:
    response_db -= 30.0 * np.clip((hz - 3500.0) / 1000.0, 0.0, 1.0)
  response = (10.0 ** (response_db / 20.0)).astype(np.float32)
  spectrum = scipy.fft.rfft(mix, n=length, axis=-1)
  equalised = scipy.fft.irfft(spectrum * response, n=length, axis=-1)
  return equalised[..., :num_samples]
