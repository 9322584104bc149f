import pytest

from music_embed.core import errors, types


def test_a_window_is_three_seconds_and_fifteen_milliseconds():
  front_end = types.LogMelFrontEnd()
  # 299 hops of 160 samples and one frame of 400: 48,240 samples.
  assert front_end.window_samples == 48_240
  assert front_end.window_samples / front_end.sample_rate_hz == 3.015
  assert front_end.num_rows(48_240) == 300
  assert front_end.num_rows(48_239) == 299


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1)])
def test_frames_are_never_padded(samples, frames):
  assert types.LogMelFrontEnd().num_rows(samples) == frames


@pytest.mark.parametrize(
  "front_end",
  [types.LogMelFrontEnd(num_bins=96), types.WaveformFrontEnd(22_050)],
)
def test_a_front_end_survives_json(front_end):
  assert types.front_end_from_json(front_end.to_json()) == front_end


def test_the_default_range_of_quantization_holds_the_quietest_value():
  quantization = types.Quantization().resolved(types.LogMelFrontEnd())
  assert quantization.low < -4.605  # log(0.01)
  assert quantization.step == pytest.approx(0.04, rel=1e-3)


def test_the_range_of_other_log_offsets_reaches_from_silence_to_full_scale():
  quiet = types.LogMelFrontEnd(log_offset=1e-6, fft_length=1024)
  quantization = types.Quantization().resolved(quiet)
  assert quantization.low == pytest.approx(-13.82)  # log(1e-6) = -13.8155
  # log(512) = 6.238; (6.238 + 13.82) / 255 = .0787, rounded up: .079.
  assert quantization.step == pytest.approx(0.079)


@pytest.mark.parametrize(
  ("front_end", "dtype"),
  [(types.WaveformFrontEnd(), "uint8"), (types.LogMelFrontEnd(), "int16")],
)
def test_a_dtype_that_does_not_suit_the_front_end_is_refused(front_end, dtype):
  with pytest.raises(errors.ConfigError, match=f"dtype='{dtype}'"):
    types.Quantization(dtype).resolved(front_end)


def test_a_range_above_silence_is_refused():
  with pytest.raises(errors.ConfigError, match="quiet sounds would be lost"):
    types.Quantization(low=-3.0).resolved(types.LogMelFrontEnd())


def test_slices_of_all_workers_are_the_batch():
  rows = [types.Slice(index, 3).rows(12) for index in range(3)]
  assert sum((list(range(12))[part] for part in rows), []) == list(range(12))


def test_a_batch_that_does_not_divide_is_refused():
  with pytest.raises(errors.ConfigError, match="a batch of 10 cannot be"):
    types.Slice(0, 4).rows(10)
