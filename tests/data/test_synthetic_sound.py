import numpy as np
import pytest

from music_embed.data.corpora import synthetic
from music_embed.data.corpora.synthetic import (
  drums,
  encode,
  instruments,
  render,
  speech,
)

_TIMBRE = instruments.Timbre(brightness=0.5, wobble=0.3, attack=0.5)


@pytest.mark.parametrize("instrument", range(len(instruments.NAMES)))
@pytest.mark.parametrize("hz", [65.0, 440.0, 2000.0])
def test_notes_are_finite_equally_loud_and_of_the_length_asked_for(
  instrument, hz
):
  note = instruments.play(
    instrument,
    hz=hz,
    duration_s=0.5,
    timbre=_TIMBRE,
    rng=np.random.default_rng(0),
  )
  assert note.shape == (8000,)
  assert note.dtype == np.float32
  assert np.sqrt(np.mean(note**2)) == pytest.approx(0.12, rel=1e-3)


def test_a_struck_string_equals_its_harmonics_written_out():
  note = instruments.play(
    instruments.NAMES.index("guitar"),
    hz=200.0,
    duration_s=0.25,
    timbre=_TIMBRE,
    rng=np.random.default_rng(0),
  )
  time = np.arange(4000) / 16_000
  expected = np.zeros(4000)
  for h in range(1, 15):
    fading = np.exp(-time * (2.0 + 1.6 * h * (1.3 - 0.5)))
    expected += np.sin(2 * np.pi * 200 * h * time) / h**0.9 * fading
  expected *= 0.12 / np.sqrt(np.mean(expected**2))
  np.testing.assert_allclose(note, expected, atol=1e-4)


@pytest.mark.parametrize("drum", range(len(drums.NAMES)))
def test_strokes_die_away(drum):
  stroke = drums.hit(drum, pitch=0.5, rng=np.random.default_rng(0))
  quarter = len(stroke) // 4
  start, end = stroke[:quarter], stroke[-quarter:]
  assert np.isfinite(stroke).all()
  assert np.mean(end**2) < 0.2 * np.mean(start**2)


def test_rendering_repeats_and_fills_the_whole_clip():
  world = synthetic.make_world(synthetic.tiny_config())
  for index in range(4):
    recording = world.recordings[index]
    waveform = render.render(world, index)
    assert waveform.shape == (
      round(recording.duration_s * 16_000),
      recording.num_channels,
    )
    assert np.abs(waveform).max() <= 1.0
    last_second = waveform[-16_000:]
    assert np.sqrt(np.mean(last_second**2)) > 1e-3
    np.testing.assert_array_equal(waveform, render.render(world, index))


def test_recordings_of_one_artist_differ_in_level_and_colour():
  world = synthetic.make_world(synthetic.tiny_config())
  same = [r.index for r in world.recordings if r.artist == 0]
  spectra = []
  for index in same:
    mono = render.render(world, index).mean(1)
    power = np.abs(np.fft.rfft(mono)) ** 2
    bands = [band.mean() for band in np.array_split(power[:40_000], 8)]
    spectra.append(10 * np.log10(bands))
  differences = np.abs(spectra[0] - spectra[1])
  assert differences.max() - differences.min() > 3.0


def test_talk_pauses_and_has_a_steady_level():
  talk = speech.talk(16_000 * 20, np.random.default_rng(0))
  assert np.sqrt(np.mean(talk**2)) == pytest.approx(1.0, rel=1e-3)
  syllables = talk[: 90 * 3520].reshape(90, 3520)
  silent = np.sum(np.abs(syllables).max(axis=1) == 0.0)
  assert 5 <= silent <= 35


def test_ogg_files_are_the_same_bytes_every_time(tmp_path):
  world = synthetic.make_world(synthetic.tiny_config())
  waveform = render.render(world, 0)
  contents = []
  for name in ("a.ogg", "b.ogg"):
    path = tmp_path / name
    encode.write_audio(
      str(path),
      waveform,
      rate_hz=16_000,
      file_format="ogg",
      file_rate_hz=22_050,
    )
    contents.append(path.read_bytes())
  assert contents[0] == contents[1]


def test_the_ogg_checksum_is_that_of_the_format():
  # CRC-32 with polynomial 0x04C11DB7, no reflection and no final inversion:
  # its published check value for "123456789" with zero start.
  assert encode._ogg_checksum(bytearray(b"123456789")) == 0x89A1897F
