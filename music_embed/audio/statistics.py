"""Statistics of a whole recording: the baseline that learns nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from music_embed.core import errors

NUM_MFCC = 20


def statistics(log_mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
  """Means and standard deviations over time of MFCCs and log-mels.

  Args:
    log_mel: float [frames, bins] of a recording, at least one frame and
      `NUM_MFCC` bins.

  Returns:
    float32 [2 * NUM_MFCC + 2 * bins]: mean and deviation of the first
    coefficients of the orthonormal DCT-II over bins, then mean and
    deviation of the bins.

  Raises:
    DataError: there is no frame.
  """
  if not len(log_mel):
    raise errors.DataError("statistics need at least one frame")
  mfcc = scipy.fft.dct(log_mel, type=2, norm="ortho", axis=1)[:, :NUM_MFCC]
  parts = [mfcc.mean(0), mfcc.std(0), log_mel.mean(0), log_mel.std(0)]
  return np.concatenate(parts).astype(np.float32)
