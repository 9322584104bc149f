"""The performance figures of embedding say what was measured."""

import os

import numpy as np
import pytest
import soundfile

from music_embed.audio import streaming
from music_embed.core import types
from tools.performance import embedding


def _turn(scale=1.0, **rates):
  """A round in which each part took a second a core, two cores."""
  return {
    name.replace("_", " "): embedding._Took(int(rate), 1.0 * scale, 2.0 * scale)
    for name, rate in rates.items()
  }


def test_figures_are_medians_of_ratios_within_rounds():
  rates = {
    "decode": 400,
    "network": 1200,
    "embed": 300,
    "librosa": 100,
    "embed_pinned": 190,
    "decode_pinned": 200,
    "network_pinned": 600,
  }
  # The machine was half as fast in the second round: no ratio tells.
  rounds = [_turn(**rates), _turn(2.0, **rates), _turn(**rates)]
  found = {f.name: f for f in embedding._figures("net", rounds)}
  assert found["embed_net"].ratio == pytest.approx(300 / 400)
  assert found["embed_net"].value == 300
  assert found["embed_net_of_both"].reference_value == pytest.approx(300)
  assert found["embed_net_of_both"].ratio == pytest.approx(1)
  assert found["embed_net_pinned"].ratio == pytest.approx(190 / 200)
  assert found["embed_net_over_librosa"].ratio == pytest.approx(3)
  assert found["embed_net_cpu"].unit == "windows/CPU-s"
  assert found["embed_net_cpu"].reference_value == pytest.approx(150)


def test_frames_of_an_mp3_can_be_played_again_and_again(tmp_path):
  tone = 0.3 * np.sin(0.1 * np.arange(44_100 * 4))
  soundfile.write(
    tmp_path / "a.mp3",
    np.stack([tone, tone], 1),
    44_100,
    bitrate_mode="CONSTANT",
  )
  frames = embedding._without_header((tmp_path / "a.mp3").read_bytes())
  (tmp_path / "long.mp3").write_bytes(frames * 10)
  stream = streaming.log_mel_windows(
    str(tmp_path / "long.mp3"), types.LogMelFrontEnd()
  )
  for _ in stream:
    pass
  assert stream.facts.duration_s == pytest.approx(40, abs=1.5)
  assert not stream.facts.truncated


def test_links_are_files_of_their_own(tmp_path):
  (tmp_path / "a.mp3").write_bytes(b"audio")
  made = embedding._linked([str(tmp_path / "a.mp3")], 3, str(tmp_path / "many"))
  assert len(made) == 3
  assert all(os.path.getsize(path) == 5 for path in made)


def test_memory_is_that_of_all_processes_and_grows_with_them(tmp_path):
  from tools.performance import measure

  alone = measure.resident_bytes(os.getpid())
  assert alone > 50 << 20
  kept = np.ones(64 << 20, np.uint8)
  assert measure.resident_bytes(os.getpid()) > alone + (48 << 20)
  del kept
