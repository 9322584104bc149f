import pathlib
import tracemalloc

import numpy as np
import pytest
import soundfile

from music_embed.audio import decode, file_stream, log_mel, streaming, windows
from music_embed.core import errors, types

_FRONT_END = types.LogMelFrontEnd()
_HOP_S = 0.01


def _noise(duration_s: float, rate_hz: int = 44_100) -> np.ndarray:
  rng = np.random.default_rng(0)
  samples = rng.normal(0, 0.1, (int(duration_s * rate_hz), 2))
  swell = 1 + np.sin(np.arange(len(samples)) / rate_hz)
  return (samples * swell[:, None]).astype(np.float32)


def _write(path: pathlib.Path, samples: np.ndarray, rate_hz: int) -> str:
  soundfile.write(path, samples, rate_hz)
  return str(path)


def _whole(
  path: str,
  front_end: types.LogMelFrontEnd = _FRONT_END,
  max_s: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Windows and their first frames, of the recording decoded at once."""
  decoded = decode.decode(
    path, sample_rate_hz=front_end.sample_rate_hz, max_s=max_s
  )
  rows = log_mel.log_mel(decoded.waveform, front_end)
  starts = windows.window_starts(len(rows), front_end.window_rows)
  rows = windows.pad_to_window(rows, front_end)
  cut = [rows[start : start + front_end.window_rows] for start in starts]
  return np.stack(cut), starts


def _streamed(stream: streaming.WindowStream) -> tuple[np.ndarray, np.ndarray]:
  chunks = list(stream)
  return (
    np.concatenate([chunk.log_mel for chunk in chunks]),
    np.concatenate([chunk.start_s for chunk in chunks]),
  )


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("chunk_windows", [1, 3, 64])
def test_windows_are_those_of_the_whole_recording_to_the_last_bit(
  tmp_path, suffix, chunk_windows
):
  path = _write(tmp_path / f"a.{suffix}", _noise(22.3), 44_100)
  expected, starts = _whole(path)
  stream = streaming.log_mel_windows(
    path, _FRONT_END, chunk_windows=chunk_windows
  )
  found, start_s = _streamed(stream)
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_allclose(start_s, starts * _HOP_S)
  assert found.dtype == np.float32
  assert start_s.dtype == np.float64
  assert stream.facts.num_windows == len(expected) == 8


@pytest.mark.parametrize(
  "num_frames", [1, 299, 300, 301, 599, 600, 601, 899, 900, 901, 1500, 1800]
)
@pytest.mark.parametrize("chunk_windows", [1, 2, 3])
def test_the_last_window_ends_with_the_recording_wherever_chunks_end(
  tmp_path, num_frames, chunk_windows
):
  samples = _noise(19.0, 16_000)[: _FRONT_END.num_samples(num_frames)]
  path = _write(tmp_path / "a.wav", samples, 16_000)
  expected, starts = _whole(path)
  stream = streaming.log_mel_windows(
    path, _FRONT_END, chunk_windows=chunk_windows
  )
  found, start_s = _streamed(stream)
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_allclose(start_s, starts * _HOP_S)
  assert stream.facts.short == (num_frames < 300)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
@pytest.mark.parametrize("harm", ["cut", "overwritten"])
def test_what_precedes_the_damage_is_given_as_decoding_at_once_gives_it(
  tmp_path, suffix, harm
):
  path = tmp_path / f"a.{suffix}"
  _write(path, _noise(20.0), 44_100)
  content = bytearray(path.read_bytes())
  middle = len(content) // 2
  content[middle:] = b"" if harm == "cut" else b"\xff" * middle
  path.write_bytes(content)
  expected, _ = _whole(str(path))
  stream = streaming.log_mel_windows(str(path), _FRONT_END, chunk_windows=1)
  found, _ = _streamed(stream)
  np.testing.assert_array_equal(found, expected)
  assert 2 <= len(found) < 7
  assert stream.facts.truncated
  assert 6.0 < stream.facts.duration_s < 16.0


def test_audio_after_the_limit_is_not_read(tmp_path):
  path = _write(tmp_path / "a.flac", _noise(12.0), 44_100)
  expected, _ = _whole(path, max_s=7.5)
  stream = streaming.log_mel_windows(path, _FRONT_END, max_s=7.5)
  found, start_s = _streamed(stream)
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_allclose(start_s, [0.0, 3.0, 4.48])
  assert stream.facts.duration_s == pytest.approx(7.5)
  assert not stream.facts.truncated


@pytest.mark.parametrize(
  "front_end",
  [
    types.LogMelFrontEnd(
      sample_rate_hz=22_050, fft_length=1024, num_bins=96, window_frames=70
    ),
    types.LogMelFrontEnd(frame_length=200, hop_length=333, window_frames=50),
  ],
  ids=["wide", "hop_longer_than_frame"],
)
def test_other_front_ends_work(tmp_path, front_end):
  path = _write(tmp_path / "a.flac", _noise(20.0, 32_000), 32_000)
  expected, _ = _whole(path, front_end)
  found, _ = _streamed(
    streaming.log_mel_windows(path, front_end, chunk_windows=4)
  )
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [1, 399, 5_000, 100_000])
def test_log_mels_do_not_depend_on_how_a_waveform_is_cut(size):
  waveform = _noise(9.0, 16_000)[:, 0]
  if size == 1:
    waveform = waveform[:2_000]
  pieces = (
    waveform[start : start + size] for start in range(0, len(waveform), size)
  )
  rows = np.concatenate(list(streaming.log_mel_rows(pieces, _FRONT_END)))
  np.testing.assert_array_equal(rows, log_mel.log_mel(waveform, _FRONT_END))


def test_facts_are_those_of_the_file(tmp_path):
  path = _write(tmp_path / "a.flac", _noise(1.0), 44_100)
  stream = streaming.log_mel_windows(path, _FRONT_END)
  with pytest.raises(RuntimeError, match=r"a\.flac"):
    _ = stream.facts
  _streamed(stream)
  facts = stream.facts
  assert (facts.source_rate_hz, facts.num_channels) == (44_100, 2)
  assert facts.duration_s == pytest.approx(1.0)
  assert facts.short
  assert (facts.truncated, facts.clipped) == (False, False)
  assert facts.num_windows == 1


def test_less_than_a_frame_is_refused_by_name(tmp_path):
  path = _write(tmp_path / "tick.wav", _noise(0.02, 16_000), 16_000)
  with pytest.raises(errors.AudioError, match=r"tick\.wav: shorter than one"):
    list(streaming.log_mel_windows(path, _FRONT_END))


def test_a_folder_and_a_missing_file_are_refused_at_once(tmp_path):
  with pytest.raises(errors.AudioError, match="a folder, not a file"):
    streaming.log_mel_windows(str(tmp_path), _FRONT_END)
  with pytest.raises(errors.AudioError, match=r"gone\.mp3: no such file"):
    streaming.log_mel_windows(str(tmp_path / "gone.mp3"), _FRONT_END)


def test_a_sample_that_is_not_finite_is_found_wherever_it_lies(tmp_path):
  samples = _noise(8.0, 16_000)[:, 0]
  samples[-5] = np.nan
  path = tmp_path / "a.wav"
  soundfile.write(path, samples, 16_000, subtype="FLOAT")
  stream = streaming.log_mel_windows(str(path), _FRONT_END, chunk_windows=1)
  with pytest.raises(errors.AudioError, match="not finite"):
    list(stream)


def test_a_rate_that_would_never_end_is_refused(tmp_path):
  path = _write(tmp_path / "slow.wav", np.zeros((200, 1)), 1)
  with pytest.raises(errors.AudioError, match=r"slow\.wav: a sample rate of 1"):
    decode.decode(path)


def test_a_long_file_is_streamed_in_the_memory_of_a_short_one(tmp_path):
  def peak(duration_s: float) -> int:
    path = str(tmp_path / f"{duration_s}.wav")
    soundfile.write(path, np.zeros(int(duration_s * 8_000), np.int16), 8_000)
    tracemalloc.start()
    stream = streaming.log_mel_windows(path, _FRONT_END, chunk_windows=4)
    count = sum(len(chunk.start_s) for chunk in stream)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == stream.facts.num_windows
    return held

  peak(20.0)
  assert peak(600.0) < 1.2 * peak(60.0)


def test_a_stream_of_bytes_is_that_of_their_file(tmp_path):
  path = pathlib.Path(_write(tmp_path / "a.ogg", _noise(5.0), 44_100))
  stream = file_stream.FileStream(
    "upload", sample_rate_hz=16_000, content=path.read_bytes()
  )
  waveform = np.concatenate(list(stream))
  np.testing.assert_array_equal(waveform, decode.decode(str(path)).waveform)
  assert stream.facts.duration_s == len(waveform) / 16_000
