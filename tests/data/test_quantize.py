"""Quantisation of log-mels."""

import numpy as np

from music_embed.core import types
from music_embed.data.records import quantize


def test_the_error_is_at_most_half_a_step_within_the_range() -> None:
  q = types.Quantization.default(types.LogMelFrontEnd())
  values = np.linspace(q.low, q.high, 10_001, dtype=np.float32)
  back = quantize.dequantize(quantize.quantize(values, q), q)
  assert np.abs(back - values).max() <= q.step / 2 + 1e-5


def test_values_outside_the_range_are_clipped() -> None:
  q = types.Quantization(low=0.0, high=255.0)
  levels = quantize.quantize(np.float32([-3, 0, 1.4, 1.6, 300]), q)
  assert levels.dtype == np.uint8
  assert levels.tolist() == [0, 0, 1, 2, 255]


def test_the_device_dequantises_as_numpy_does() -> None:
  q = types.Quantization.default(types.LogMelFrontEnd())
  levels = np.arange(256, dtype=np.uint8).reshape(4, 64)
  on_device = quantize.dequantize_tf(levels, q).numpy()
  np.testing.assert_allclose(
    on_device, quantize.dequantize(levels, q), atol=1e-6
  )


def test_waveforms_are_rounded_to_16_bits_and_clipped() -> None:
  q = types.Quantization.default(types.WaveformFrontEnd())
  stored = quantize.quantize(np.float32([-1.5, -1, 0, 0.5, 0.99999, 1.5]), q)
  assert stored.dtype == np.dtype("<i2")
  assert stored.tolist() == [-32768, -32768, 0, 16384, 32767, 32767]
  np.testing.assert_array_equal(quantize.dequantize(stored, q)[3], 0.5)


def test_float16_clips_what_it_cannot_hold_and_float32_keeps_all() -> None:
  values = np.float32([-1e6, 0.1, 1e6])
  half = quantize.quantize(values, types.Quantization("float16"))
  assert half.tolist() == [-65504, np.float16(0.1), 65504]
  exact = types.Quantization("float32")
  np.testing.assert_array_equal(
    quantize.dequantize(quantize.quantize(values, exact), exact), values
  )
  np.testing.assert_array_equal(
    quantize.dequantize_tf(values, exact).numpy(), values
  )
