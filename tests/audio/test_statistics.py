import math

import numpy as np
import pytest

from music_embed.audio import statistics
from music_embed.core import errors


def test_statistics_equal_sums_written_out():
  log_mel = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
  mfcc = np.zeros((5, 20))
  for frame in range(5):
    for k in range(20):
      scale = math.sqrt((1 if k == 0 else 2) / 32)
      mfcc[frame, k] = scale * sum(
        log_mel[frame, n] * math.cos(math.pi * k * (2 * n + 1) / 64)
        for n in range(32)
      )
  expected = np.concatenate(
    [mfcc.mean(0), mfcc.std(0), log_mel.mean(0), log_mel.std(0)]
  )
  actual = statistics.statistics(log_mel)
  assert actual.dtype == np.float32
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_no_frames_is_an_error():
  with pytest.raises(errors.DataError, match="at least one frame"):
    statistics.statistics(np.zeros((0, 64), np.float32))
