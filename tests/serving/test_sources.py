import numpy as np
import pytest
import soundfile

from music_embed.audio import decode
from music_embed.core import errors, types
from music_embed.serving import sources


def _noise(num_samples: int = 20_000, channels: int = 2) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.uniform(-0.9, 0.9, (num_samples, channels)).astype(np.float32)


def _mono(samples: object, rate_hz: int = 16_000) -> np.ndarray:
  stream = sources.WaveformStream(
    samples, rate_hz=rate_hz, sample_rate_hz=16_000, name="waveform"
  )
  pieces = np.concatenate(list(stream))
  assert stream.facts.num_samples == len(pieces)
  return pieces


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_files_samples_give_what_the_file_gives(tmp_path, suffix, rate_hz):
  path = str(tmp_path / f"a.{suffix}")
  soundfile.write(path, _noise(5 * rate_hz), rate_hz)
  samples, _ = soundfile.read(path, dtype="float32")
  expected = decode.decode(path).waveform
  for given in (samples, samples.T):  # libmpg123 rounds anew after a seek.
    np.testing.assert_allclose(_mono(given, rate_hz), expected, atol=1e-6)


@pytest.mark.parametrize(
  ("dtype", "full_scale", "silence"),
  [
    (np.int8, 2**7, 0),
    (np.uint8, 2**7, 128),
    (np.int16, 2**15, 0),
    (np.dtype(">i2"), 2**15, 0),
    (np.int32, 2**31, 0),
  ],
)
def test_integers_are_scaled_as_in_a_wav_file(dtype, full_scale, silence):
  floats = np.round(_noise(2_000, 1)[:, 0].astype(np.float64) * 128) / 128
  stored = (floats * full_scale + silence).astype(dtype)
  np.testing.assert_array_equal(_mono(stored), floats.astype(np.float32))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32"])
def test_integers_of_a_file_give_what_its_floats_give(tmp_path, subtype):
  path = str(tmp_path / "a.wav")
  soundfile.write(path, _noise(), 16_000, subtype=subtype)
  kind = "int32" if subtype == "PCM_32" else "int16"
  stored, _ = soundfile.read(path, dtype=kind)
  np.testing.assert_array_equal(_mono(stored), decode.decode(path).waveform)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.dtype(">f4")])
def test_floats_of_any_width_are_taken(dtype):
  floats = _noise(2_000, 1)[:, 0]
  np.testing.assert_allclose(_mono(floats.astype(dtype)), floats, atol=1e-3)


def test_channels_lie_on_the_short_side():
  samples = _noise()
  mean = (samples[:, 0] + samples[:, 1]) / 2
  for given in (samples, samples.T, np.asfortranarray(samples)):
    np.testing.assert_array_equal(_mono(given), mean)
  for given in (samples[:, 0], samples[:, :1], samples[:, :1].T):
    np.testing.assert_array_equal(_mono(given), samples[:, 0])
  many = _noise(500, sources.MAX_CHANNELS)
  np.testing.assert_allclose(_mono(many.T), many.mean(1), atol=1e-6)


def test_a_tensor_is_an_array_too():
  class Tensor:
    """What other libraries' arrays have in common."""

    def __array__(self, dtype=None, copy=None):
      return np.zeros(9_000, np.float32)

  assert len(_mono(Tensor())) == 9_000


@pytest.mark.parametrize(
  ("samples", "reason"),
  [
    (np.zeros((64, 9_000)), r"\[64, 9000\] is not one recording.*a list"),
    (np.zeros((2, 2, 9_000)), r"\[2, 2, 9000\] is not one"),
    (np.zeros((0, 9_000)), r"\[0, 9000\] is not one"),
    (np.float32(0), r"\[\] is not one"),
    (np.zeros((9, 9)), "shorter than a frame"),
    (np.zeros(0, np.float32), "no audio"),
    (np.zeros(9_000, np.int64), "int64: their full scale"),
    (np.zeros(9_000, bool), "bool: their full scale"),
    (np.zeros(9_000, complex), "complex128: their full scale"),
    (np.array(["song.mp3"]), "U8: their full scale"),
    (np.full(9_000, 12_000.0), "12,000, where floats"),
    (np.full(9_000, np.nan), "not finite"),
    (np.full(9_000, 1e300), "not finite"),
  ],
)
def test_what_is_no_waveform_is_refused_with_the_reason(samples, reason):
  with pytest.raises(errors.MusicEmbedError, match=f"^waveform: .*{reason}"):
    _mono(samples)


@pytest.mark.parametrize(
  ("rate_hz", "reason"),
  [
    (None, "which rate"),
    (44_100.5, "must be a whole number"),
    (0, "a sample rate of 0 Hz"),
    (-16_000, "a sample rate of -16000 Hz"),
  ],
)
def test_a_rate_that_is_none_is_refused(rate_hz, reason):
  with pytest.raises(errors.MusicEmbedError, match=reason):
    sources.window_stream(
      np.zeros(9_000), types.LogMelFrontEnd(), sample_rate_hz=rate_hz
    )


def test_a_stream_has_its_facts_at_its_end_only():
  stream = sources.WaveformStream(
    _noise(8_000), rate_hz=8_000, sample_rate_hz=16_000, name="mine"
  )
  with pytest.raises(RuntimeError, match="mine: was not read"):
    _ = stream.facts
  list(stream)
  assert stream.facts.duration_s == pytest.approx(1.0)
  assert stream.facts.source_rate_hz == 8_000
  assert stream.facts.num_channels == 2
