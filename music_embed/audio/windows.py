"""Where the network's windows lie within a recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_embed.core import types


def window_starts(num_rows: int, window_rows: int) -> npt.NDArray[np.int64]:
  """First rows of the windows that cover a recording.

  Consecutive and non-overlapping; the last one is right-aligned, so it may
  overlap the one before. A recording shorter than a window has one, at 0.

  Args:
    num_rows: rows of the recording.
    window_rows: rows of a window, at least one.

  Returns:
    int64 [windows], increasing, at least one.
  """
  if num_rows <= window_rows:
    return np.zeros(1, np.int64)
  starts = np.arange(0, num_rows - window_rows + 1, window_rows)
  last = num_rows - window_rows
  if starts[-1] != last:
    starts = np.append(starts, last)
  return starts.astype(np.int64)


def pad_to_window(
  rows: npt.NDArray[np.float32], front_end: types.FrontEnd
) -> npt.NDArray[np.float32]:
  """Appends silence to a recording shorter than a window.

  Args:
    rows: float [rows, *row_shape].
    front_end: gives the window's rows and the value of silence.

  Returns:
    [max(rows, window_rows), *row_shape] of the same dtype; the input itself
    where nothing is missing.
  """
  missing = front_end.window_rows - len(rows)
  if missing <= 0:
    return rows
  silence = np.full(
    (missing, *front_end.row_shape), front_end.silence, rows.dtype
  )
  return np.concatenate([rows, silence])
