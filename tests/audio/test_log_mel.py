import math

import librosa
import numpy as np
import pytest

from music_embed.audio import log_mel
from music_embed.core import types

_FRONT_END = types.LogMelFrontEnd()


def _waveform(num_samples: int, seed: int = 0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  time = np.arange(num_samples) / 16_000
  sweep = np.sin(2 * np.pi * (200 + 900 * time) * time)
  noise = rng.normal(0, 0.05, num_samples)
  return (0.4 * sweep + noise).astype(np.float32)


def _librosa_mel() -> np.ndarray:
  return librosa.filters.mel(
    sr=16_000,
    n_fft=512,
    n_mels=64,
    fmin=125.0,
    fmax=7500.0,
    htk=True,
    norm=None,
  )


def test_the_mel_matrix_equals_librosas():
  matrix = log_mel.mel_matrix(_FRONT_END)
  assert matrix.shape == (257, 64)
  np.testing.assert_allclose(matrix, _librosa_mel().T, atol=1e-6)


def test_log_mels_equal_librosas():
  waveform = _waveform(50_000)
  # librosa centres the 400 samples of a frame in its 512; ours come first.
  aligned = np.pad(waveform, 56)
  magnitudes = np.abs(
    librosa.stft(
      aligned,
      n_fft=512,
      hop_length=160,
      win_length=400,
      window="hann",
      center=False,
    )
  )
  expected = np.log(_librosa_mel() @ magnitudes + 0.01).T
  actual = log_mel.log_mel(waveform, _FRONT_END)
  assert actual.shape == expected.shape
  np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_log_mels_equal_a_discrete_fourier_sum_written_out():
  waveform = _waveform(400 + 160, seed=1).astype(np.float64)
  sample = np.arange(400)
  window = 0.5 - 0.5 * np.cos(2 * np.pi * sample / 400)
  expected = np.zeros((2, 64))
  for frame in range(2):
    windowed = waveform[160 * frame : 160 * frame + 400] * window
    for bin_ in range(64):
      total = 0.0
      for k in range(257):
        weight = log_mel.mel_matrix(_FRONT_END)[k, bin_]
        if weight:
          turn = np.exp(-2j * np.pi * k * sample / 512)
          total += weight * abs(np.sum(windowed * turn))
      expected[frame, bin_] = math.log(total + 0.01)
  actual = log_mel.log_mel(waveform.astype(np.float32), _FRONT_END)
  np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_chunks_leave_no_seam():
  waveform = _waveform(1500 * 160 + 240)
  whole = log_mel.log_mel(waveform, _FRONT_END)
  assert whole.shape == (1500, 64)
  alone = log_mel.log_mel(waveform[1148 * 160 : 1158 * 160], _FRONT_END)
  np.testing.assert_allclose(whole[1148 : 1148 + len(alone)], alone, atol=1e-5)


@pytest.mark.parametrize(
  ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)]
)
def test_only_whole_frames_are_taken(samples, frames):
  result = log_mel.log_mel(np.zeros(samples, np.float32), _FRONT_END)
  assert result.shape == (frames, 64)
  assert result.dtype == np.float32


def test_silence_is_the_log_of_the_offset():
  result = log_mel.log_mel(np.zeros(4000, np.float32), _FRONT_END)
  np.testing.assert_allclose(result, math.log(0.01), atol=1e-6)


def test_a_window_of_samples_gives_a_window_of_frames():
  waveform = np.zeros(_FRONT_END.window_samples, np.float32)
  assert len(log_mel.log_mel(waveform, _FRONT_END)) == 300


def test_other_front_ends_work():
  front_end = types.LogMelFrontEnd(
    sample_rate_hz=22_050, fft_length=1024, num_bins=96, max_hz=11_000.0
  )
  result = log_mel.log_mel(_waveform(9000), front_end)
  assert result.shape == (front_end.num_rows(9000), 96)
  assert np.isfinite(result).all()
