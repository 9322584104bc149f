import numpy as np
import pytest
import tensorflow as tf

from music_embed.audio import windows
from music_embed.core import types
from music_embed.export import signatures

_FRONT_END = types.LogMelFrontEnd()


@pytest.mark.parametrize(
  "num_samples",
  [0, 1, 399, 400, 560, 48_239, 48_240, 48_400, 96_240, 96_400, 1_000_000],
)
def test_windows_are_those_of_the_audio_package(num_samples: int) -> None:
  plan = signatures.plan(tf.constant([num_samples], tf.int64), _FRONT_END)
  num_frames = _FRONT_END.num_rows(num_samples)
  expected = windows.window_starts(num_frames, _FRONT_END.window_frames)
  assert plan.num_frames.numpy().tolist() == [num_frames]
  assert plan.num_windows.numpy().tolist() == [len(expected)]
  np.testing.assert_array_equal(plan.start, expected)


def test_windows_of_a_batch_follow_one_another() -> None:
  plan = signatures.plan(
    tf.constant([100_000, 5, 48_240], tf.int64), _FRONT_END
  )
  # 100,000 samples are 623 frames: windows at 0, 300 and, right-aligned, 323.
  assert plan.recording.numpy().tolist() == [0, 0, 0, 1, 2]
  assert plan.start.numpy().tolist() == [0, 300, 323, 0, 0]
