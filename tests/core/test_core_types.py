import pytest

from music_embed.core import types


def test_a_window_is_three_seconds_and_fifteen_milliseconds():
  front_end = types.LogMelFrontEnd()
  # 299 hops of 160 samples and one frame of 400: 48,240 samples.
  assert front_end.window_samples == 48_240
  assert front_end.window_samples / front_end.sample_rate_hz == 3.015
  assert front_end.num_frames(48_240) == 300
  assert front_end.num_frames(48_239) == 299


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1)])
def test_frames_are_never_padded(samples, frames):
  assert types.LogMelFrontEnd().num_frames(samples) == frames


def test_a_front_end_survives_json():
  front_end = types.LogMelFrontEnd(num_bins=96)
  assert types.LogMelFrontEnd.from_json(front_end.to_json()) == front_end


def test_the_default_range_of_quantization_holds_the_quietest_value():
  quantization = types.Quantization()
  assert quantization.low < -4.605  # log(0.01)
  assert quantization.step == pytest.approx(0.04, rel=1e-3)
