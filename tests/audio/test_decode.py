import concurrent.futures
import os
import pathlib
import threading

import numpy as np
import pytest
import soundfile
import soxr

from music_embed.audio import decode
from music_embed.core import errors

_FORMATS = {
  "wav": "PCM_16",
  "flac": "PCM_16",
  "ogg": "VORBIS",
  "mp3": "MPEG_LAYER_III",
}


def _chord(rate_hz: int, duration_s: float = 2.0) -> np.ndarray:
  time = np.arange(int(rate_hz * duration_s)) / rate_hz
  tones = [np.sin(2 * np.pi * hz * time) for hz in (220.0, 660.0, 2500.0)]
  return (0.1 * np.sum(tones, axis=0)).astype(np.float32)


def _write(
  path: pathlib.Path, samples: np.ndarray, rate_hz: int, subtype: str = ""
) -> str:
  subtype = subtype or _FORMATS[path.suffix[1:]]
  soundfile.write(path, samples, rate_hz, subtype=subtype)
  return str(path)


@pytest.mark.parametrize("suffix", _FORMATS)
@pytest.mark.parametrize(
  ("rate_hz", "channels"),
  [(16_000, 1), (22_050, 2), (32_000, 1), (44_100, 2), (48_000, 1)],
)
def test_every_format_decodes_to_the_same_mono_signal(
  tmp_path, suffix, rate_hz, channels
):
  mono = _chord(rate_hz)
  samples = np.stack([mono] * channels, axis=1)
  path = _write(tmp_path / f"a.{suffix}", samples, rate_hz)

  decoded = decode.decode(path)

  expected = _chord(16_000)
  assert decoded.waveform.dtype == np.float32
  assert abs(len(decoded.waveform) - len(expected)) <= 2
  inner = slice(2000, 30_000)  # Codecs ring at the edges.
  error = decoded.waveform[inner] - expected[inner]
  assert np.sqrt(np.mean(error**2)) < 0.08 * np.sqrt(np.mean(expected**2))
  assert decoded.source_rate_hz == rate_hz
  assert decoded.num_channels == channels
  assert decoded.sample_rate_hz == 16_000
  assert not decoded.truncated
  assert not decoded.clipped
  assert decoded.duration_s == pytest.approx(2.0, abs=1e-3)


def test_channels_are_averaged(tmp_path):
  left, middle, right = np.full((3, 1600), [[0.3], [0.0], [-0.9]])
  path = _write(
    tmp_path / "a.wav", np.stack([left, middle, right], 1), 16_000, "FLOAT"
  )
  np.testing.assert_allclose(decode.decode(path).waveform, -0.2, atol=1e-6)


@pytest.mark.parametrize("suffix", _FORMATS)
def test_reading_in_blocks_leaves_no_seam(tmp_path, suffix):
  noise = 0.1 * np.random.default_rng(0).standard_normal((44_100 * 8, 2))
  path = _write(tmp_path / f"a.{suffix}", noise, 44_100)
  at_once, _ = soundfile.read(path, dtype="float32")
  mono = (at_once[:, 0] + at_once[:, 1]) * np.float32(0.5)
  expected = soxr.resample(mono, 44_100, 16_000, quality="HQ")
  np.testing.assert_array_equal(decode.decode(path).waveform, expected)


def test_audio_after_the_limit_is_not_read(tmp_path):
  path = _write(tmp_path / "a.flac", _chord(22_050, 3.0), 22_050)
  decoded = decode.decode(path, max_s=1.5)
  assert decoded.duration_s == pytest.approx(1.5, abs=1e-3)
  assert not decoded.truncated
  assert decode.decode(path, max_s=None).duration_s == pytest.approx(3.0)


@pytest.mark.parametrize("suffix", _FORMATS)
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_file_cut_in_the_middle_is_kept_and_flagged(
  tmp_path, suffix, rate_hz
):
  noise = np.random.default_rng(0).normal(0, 0.1, (rate_hz * 4, 2))
  path = pathlib.Path(_write(tmp_path / f"a.{suffix}", noise, rate_hz))
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])

  decoded = decode.decode(str(path))

  assert decoded.truncated
  assert 1.0 < decoded.duration_s < 2.5


@pytest.mark.parametrize("suffix", _FORMATS)
def test_a_cut_after_the_limit_is_not_reported(tmp_path, suffix):
  noise = np.random.default_rng(0).normal(0, 0.1, 64_000)
  path = pathlib.Path(_write(tmp_path / f"a.{suffix}", noise, 16_000))
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) * 9 // 10])
  assert not decode.decode(str(path), max_s=1.0).truncated


def test_a_wav_from_a_stream_without_a_length_is_not_truncated(tmp_path):
  path = pathlib.Path(_write(tmp_path / "a.wav", _chord(16_000), 16_000))
  content = bytearray(path.read_bytes())
  place = content.index(b"data") + 4
  content[place : place + 4] = b"\xff\xff\xff\xff"
  path.write_bytes(content)
  decoded = decode.decode(str(path))
  assert not decoded.truncated
  assert decoded.duration_s == pytest.approx(2.0)


def test_an_mp3_without_a_xing_header_is_not_truncated(tmp_path):
  path = pathlib.Path(_write(tmp_path / "a.mp3", _chord(44_100, 4.0), 44_100))
  content = path.read_bytes()
  second_frame = content.index(content[:2], 4)
  path.write_bytes(content[second_frame:])
  assert not decode.decode(str(path)).truncated


def test_clipping_is_flagged(tmp_path):
  samples = np.clip(20 * _chord(16_000), -1, 1)
  path = _write(tmp_path / "a.wav", samples, 16_000)
  assert decode.decode(path).clipped


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_rejected(tmp_path, value):
  samples = _chord(16_000)
  samples[12_345] = value
  path = _write(tmp_path / "bad.wav", samples, 16_000, "FLOAT")
  with pytest.raises(errors.AudioError, match=r"bad\.wav: .*not finite"):
    decode.decode(path)


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "empty"),
    (b"this is a text, not music" * 50, "not an audio file"),
    (b"RIFF\x24\x00\x00\x00WAVE", "not an audio file"),
  ],
)
def test_a_file_without_audio_is_named_with_the_reason(
  tmp_path, content, reason
):
  path = tmp_path / "odd.wav"
  path.write_bytes(content)
  with pytest.raises(errors.AudioError, match=rf"odd\.wav: .*{reason}"):
    decode.decode(str(path))


def test_a_file_without_samples_is_rejected(tmp_path):
  path = _write(tmp_path / "none.wav", np.zeros((0, 1)), 16_000)
  with pytest.raises(errors.AudioError, match=r"none\.wav: no audio"):
    decode.decode(path)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(errors.AudioError, match=r"gone\.mp3: no such file"):
    decode.decode(str(tmp_path / "gone.mp3"))


@pytest.mark.parametrize("suffix", _FORMATS)
@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_bytes_in_memory_decode_as_their_file_does(tmp_path, suffix, kept):
  noise = np.random.default_rng(0).normal(0, 0.1, (44_100 * 3, 2))
  path = pathlib.Path(_write(tmp_path / f"a.{suffix}", noise, 44_100))
  content = path.read_bytes()
  content = content[: int(len(content) * kept)]
  path.write_bytes(content)

  of_file = decode.decode(str(path), max_s=2.5)
  of_bytes = decode.decode_bytes(content, name="clip 7", max_s=2.5)

  np.testing.assert_array_equal(of_bytes.waveform, of_file.waveform)
  for field in ("source_rate_hz", "num_channels", "truncated", "clipped"):
    assert getattr(of_bytes, field) == getattr(of_file, field)


@pytest.mark.parametrize("content", [b"", b"no audio at all" * 20])
def test_bytes_that_are_no_audio_are_named(content):
  with pytest.raises(errors.AudioError, match=r"^clip 7: .*(empty|not an au)"):
    decode.decode_bytes(content, name="clip 7")


def test_a_files_reason_is_its_own_whatever_other_threads_open(
  tmp_path: pathlib.Path,
) -> None:
  contents = {
    "text.wav": b"no audio at all" * 9,
    "cut.flac": b"fLaC",
    "noise.mp3": np.random.default_rng(1).bytes(700),
  }
  for name, content in contents.items():
    (tmp_path / name).write_bytes(content)
  paths = [str(tmp_path / name) for name in contents]

  def reason(path: str) -> str:
    with pytest.raises(errors.AudioError) as caught:
      decode.decode(path)
    return str(caught.value)

  alone = [reason(path) for path in paths]
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert list(pool.map(reason, paths * 100)) == alone * 100


def _without_its_length(path: pathlib.Path) -> bytes:
  """An MP3's bytes without the first frame, which states the length."""
  content = path.read_bytes()
  return content[content.index(content[:2], 4) :]


def _quiet_after_a_loud_start(path: pathlib.Path) -> pathlib.Path:
  """An MP3 of 12 s whose first second takes most of the bits."""
  noise = np.random.default_rng(0).normal(0, 0.2, (44_100 * 12, 2))
  noise[44_100:] *= 1e-4
  _write(path, noise, 44_100)
  return path


@pytest.mark.parametrize(
  "before",
  [b"", b"ID3\x03\0\0\0\x12\x7f\x74" + b"\xff\xfb\x90\x64" * 77_821],
  ids=["bare", "picture"],
)
@pytest.mark.parametrize("after", [b"", b"TAG" + b" " * 125])
def test_an_mp3_that_does_not_state_its_length_is_read_to_its_end(
  tmp_path, before, after
):
  whole = _quiet_after_a_loud_start(tmp_path / "whole.mp3")
  path = tmp_path / "a.mp3"
  path.write_bytes(before + _without_its_length(whole) + after)
  assert abs(soundfile.info(path).duration - 12.0) > 2.0  # A guess.

  decoded = decode.decode(str(path))

  assert decoded.duration_s == pytest.approx(12.0, abs=0.1)
  assert not decoded.truncated
  of_bytes = decode.decode_bytes(path.read_bytes(), name="a")
  np.testing.assert_array_equal(of_bytes.waveform, decoded.waveform)
  start = decode.decode(str(path), max_s=2.5)
  np.testing.assert_allclose(
    start.waveform[:39_000], decoded.waveform[:39_000], atol=1e-6
  )


def test_an_mp3_without_its_length_that_was_cut_is_kept_and_flagged(tmp_path):
  whole = _quiet_after_a_loud_start(tmp_path / "whole.mp3")
  content = _without_its_length(whole)
  path = tmp_path / "a.mp3"
  path.write_bytes(content[: len(content) // 2 + 100])
  decoded = decode.decode(str(path))
  assert decoded.truncated
  assert 1.0 < decoded.duration_s < 11.0


def test_files_and_pipes_are_closed(tmp_path):
  whole = _quiet_after_a_loud_start(tmp_path / "whole.mp3")
  path = tmp_path / "a.mp3"
  path.write_bytes(_without_its_length(whole))
  (tmp_path / "text.mp3").write_bytes(b"no audio at all" * 90)

  def num_open() -> int:
    return len(os.listdir("/proc/self/fd"))

  before, threads = num_open(), threading.active_count()
  for _ in range(3):
    decode.decode(str(path), max_s=0.5)
    decode.decode(str(whole))
    with pytest.raises(errors.AudioError):
      decode.decode(str(tmp_path / "text.mp3"))
  assert num_open() == before
  assert threading.active_count() == threads


def test_text_named_mp3_is_told_so(tmp_path):
  path = tmp_path / "notes.mp3"
  path.write_text("no music " * 2_000)
  with pytest.raises(errors.AudioError, match="no MPEG audio was found in it"):
    decode.decode(str(path))
