import math

import numpy as np
import pytest

from music_embed.audio import windows
from music_embed.core import types


@pytest.mark.parametrize(
  ("num_frames", "starts"),
  [
    (0, [0]),
    (299, [0]),
    (300, [0]),
    (301, [0, 1]),
    (600, [0, 300]),
    (750, [0, 300, 450]),
    (900, [0, 300, 600]),
  ],
)
def test_windows_follow_one_another_and_the_last_is_right_aligned(
  num_frames, starts
):
  result = windows.window_starts(num_frames, 300)
  assert result.dtype == np.int64
  assert result.tolist() == starts


def test_short_recordings_are_padded_with_silence_at_the_end():
  front_end = types.LogMelFrontEnd()
  log_mel = np.full((120, 64), 2.0, np.float32)
  padded = windows.pad_to_window(log_mel, front_end)
  assert padded.shape == (300, 64)
  assert padded.dtype == np.float32
  np.testing.assert_array_equal(padded[:120], log_mel)
  np.testing.assert_allclose(padded[120:], math.log(0.01), rtol=1e-6)


@pytest.mark.parametrize("frames", [300, 450])
def test_recordings_of_a_window_or_more_are_left_alone(frames):
  log_mel = np.zeros((frames, 64), np.float32)
  assert windows.pad_to_window(log_mel, types.LogMelFrontEnd()) is log_mel
