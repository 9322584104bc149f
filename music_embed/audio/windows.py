"""Where the network's windows lie within a recording."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from music_embed.core import types


def window_starts(num_frames: int, window_frames: int) -> npt.NDArray[np.int64]:
  """First frames of the windows that cover a recording.

  Consecutive and non-overlapping; the last one is right-aligned, so it may
  overlap the one before. A recording shorter than a window has one, at 0.

  Args:
    num_frames: frames of the recording.
    window_frames: frames of a window, at least one.

  Returns:
    int64 [windows], increasing, at least one.
  """
  if num_frames <= window_frames:
    return np.zeros(1, np.int64)
  starts = np.arange(0, num_frames - window_frames + 1, window_frames)
  last = num_frames - window_frames
  if starts[-1] != last:
    starts = np.append(starts, last)
  return starts.astype(np.int64)


def pad_to_window(
  log_mel: npt.NDArray[np.float32], front_end: types.LogMelFrontEnd
) -> npt.NDArray[np.float32]:
  """Appends silence to a recording shorter than a window.

  Args:
    log_mel: float [frames, bins].
    front_end: gives the window's frames and the value of silence,
      log(log_offset).

  Returns:
    [max(frames, window_frames), bins] of the same dtype; the input itself
    where nothing is missing.
  """
  missing = front_end.window_frames - len(log_mel)
  if missing <= 0:
    return log_mel
  silence = math.log(front_end.log_offset)
  return np.pad(
    log_mel, ((0, missing), (0, 0)), constant_values=silence
  ).astype(log_mel.dtype)
