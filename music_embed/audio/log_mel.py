"""Log-mel spectrograms in numpy: the implementation of ingestion."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import scipy.fft

from music_embed.core import types

CHUNK_FRAMES = 384
"""Computed at once; pieces of as many frames give the same bits as a whole."""

_BANDS_AT_ONCE = 16


def hann_window(num_samples: int) -> npt.NDArray[np.float32]:
  """Periodic Hann window, float32 [samples]."""
  phase = 2.0 * np.pi * np.arange(num_samples) / num_samples
  return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def hz_to_mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
  """HTK's mel scale: 2595 log10(1 + hz / 700)."""
  return 2595.0 * np.log10(1.0 + np.asarray(hz, np.float64) / 700.0)


def mel_to_hz(mel: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
  """Inverse of `hz_to_mel`."""
  return 700.0 * (10.0 ** (np.asarray(mel, np.float64) / 2595.0) - 1.0)


@functools.lru_cache(maxsize=8)
def mel_matrix(front_end: types.LogMelFrontEnd) -> npt.NDArray[np.float32]:
  """Weights from magnitude spectra to mel bins.

  Triangles of height one whose corners lie evenly on HTK's mel scale and
  whose sides are straight in Hz (librosa's `htk=True, norm=None`).

  Args:
    front_end: rate, FFT size, number of bins and mel range.

  Returns:
    float32 [fft_length // 2 + 1, num_bins], read-only.
  """
  corners = mel_to_hz(
    np.linspace(
      hz_to_mel(front_end.min_hz),
      hz_to_mel(front_end.max_hz),
      front_end.num_bins + 2,
    )
  )
  hz = np.fft.rfftfreq(front_end.fft_length, 1.0 / front_end.sample_rate_hz)
  low, centre, high = corners[:-2], corners[1:-1], corners[2:]
  rising = (hz[:, None] - low) / (centre - low)
  falling = (high - hz[:, None]) / (high - centre)
  matrix = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
  matrix.setflags(write=False)
  return matrix


@functools.lru_cache(maxsize=8)
def _mel_blocks(
  front_end: types.LogMelFrontEnd,
) -> tuple[tuple[slice, slice, npt.NDArray[np.float32]], ...]:
  """The mel matrix in pieces without most of its zeros.

  Returns:
    (spectral bins, mel bins, weights between them) of each piece.
  """
  matrix = mel_matrix(front_end)
  blocks = []
  for start in range(0, front_end.num_bins, _BANDS_AT_ONCE):
    bands = slice(start, min(start + _BANDS_AT_ONCE, front_end.num_bins))
    used = np.flatnonzero(matrix[:, bands].any(axis=1))
    # Narrow bands can fall between two bins of the spectrum.
    bins = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
    blocks.append((bins, bands, np.ascontiguousarray(matrix[bins, bands])))
  return tuple(blocks)


def log_mel(
  waveform: npt.NDArray[np.float32], front_end: types.LogMelFrontEnd
) -> npt.NDArray[np.float32]:
  """Log-mel spectrogram of a waveform, without any padding.

  log(mel + log_offset) of magnitude (not power) spectra. Works through the
  waveform in chunks, so that memory stays small.

  Args:
    waveform: float [samples] at the front end's rate.
    front_end: the parameters.

  Returns:
    float32 [frames, bins], where frames is `front_end.num_rows(samples)`:
    zero for waveforms shorter than a frame.
  """
  num_frames = front_end.num_rows(len(waveform))
  result = np.empty((num_frames, front_end.num_bins), np.float32)
  if not num_frames:
    return result
  frames = np.lib.stride_tricks.sliding_window_view(
    np.asarray(waveform, np.float32), front_end.frame_length
  )[:: front_end.hop_length]
  window = hann_window(front_end.frame_length)
  blocks = _mel_blocks(front_end)
  # Zeros after the frame's samples, which no chunk overwrites.
  padded = np.zeros((CHUNK_FRAMES, front_end.fft_length), np.float32)
  for start in range(0, num_frames, CHUNK_FRAMES):
    mel = result[start : start + CHUNK_FRAMES]
    chunk = padded[: len(mel)]
    np.multiply(
      frames[start : start + len(mel)],
      window,
      out=chunk[:, : front_end.frame_length],
    )
    spectrum = np.abs(scipy.fft.rfft(chunk, axis=-1))
    for bins, bands, weights in blocks:
      np.matmul(spectrum[:, bins], weights, out=mel[:, bands])
    mel += np.float32(front_end.log_offset)
    np.log(mel, out=mel)
  return result
