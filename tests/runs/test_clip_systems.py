"""Tests of music_embed.runs.clip_systems: waveforms to vectors."""

import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import tiny_exports
import tiny_tagged

from music_embed.audio import log_mel, statistics, windows
from music_embed.core import errors, types
from music_embed.export import exported
from music_embed.runs import clip_systems

_FRONT_END = tiny_tagged.FRONT_END


def _waveforms(*seconds: float) -> list[np.ndarray]:
  rng = np.random.default_rng(3)
  return [
    rng.normal(0, 0.1, int(16_000 * length)).astype(np.float32)
    for length in seconds
  ]


def _windows(waveform: np.ndarray) -> np.ndarray:
  """[windows, *window_shape], as ingestion makes them."""
  rows = windows.pad_to_window(
    log_mel.log_mel(waveform, _FRONT_END), _FRONT_END
  )
  length = _FRONT_END.window_rows
  starts = windows.window_starts(len(rows), length)
  return np.stack([rows[start : start + length] for start in starts])


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> exported.Exported:
  path = tmp_path_factory.mktemp("clips") / "small_cnn"
  return tiny_exports.export(path, _FRONT_END)


@pytest.mark.parametrize("weights", ["trained", "fresh"])
def test_a_clips_vectors_are_the_networks_of_its_windows(
  export: exported.Exported, weights: str
) -> None:
  system = (
    clip_systems.ExportedSystem(export.directory)
    if weights == "trained"
    else clip_systems.UntrainedSystem(export.directory, seed=4)
  )
  waveforms = _waveforms(7.0, 0.3, 2.575)
  model = export.embedder(weights, seed=4)
  found = system(waveforms)
  assert [rows.shape for rows in found] == [(3, 8), (1, 8), (1, 8)]
  for rows, waveform in zip(found, waveforms, strict=True):
    expected = model.embed(_windows(waveform), training=False)
    np.testing.assert_allclose(rows, expected, atol=2e-4)
    assert rows.dtype == np.float32
  assert system([]) == []


def test_the_untrained_networks_moments_are_the_initial_ones(
  export: exported.Exported,
) -> None:
  fresh = export.embedder("fresh", seed=4)
  moments = {
    v.name.rpartition("/")[2]: v.numpy()
    for v in fresh.backbone.non_trainable_variables
  }
  assert not moments["moving_mean:0"].any()
  assert (moments["moving_variance:0"] == 1).all()
  trained = export.embedder()
  assert any(v.numpy().any() for v in trained.backbone.non_trainable_variables)


def test_audio_statistics_are_one_row_of_the_padded_clip() -> None:
  system = clip_systems.AudioStatisticsSystem()
  long, short = _waveforms(5.0, 0.01)
  found = system([long, short])
  front_end = types.LogMelFrontEnd()
  expected = statistics.statistics(log_mel.log_mel(long, front_end))
  np.testing.assert_array_equal(found[0], expected[np.newaxis])
  # Shorter than a frame: silence, of which nothing deviates.
  assert found[1].shape == (1, 2 * statistics.NUM_MFCC + 2 * 64)
  np.testing.assert_allclose(found[1][0, -64:], 0, atol=1e-4)


def test_fingerprints_follow_what_decides_the_vectors(
  export: exported.Exported, tmp_path: pathlib.Path
) -> None:
  other = tiny_exports.export(tmp_path / "other", _FRONT_END, seed=1)
  copied = shutil.copytree(export.directory, tmp_path / "copied")

  def fingerprint(system: clip_systems.ClipSystem) -> str:
    return json.dumps(system.fingerprint, sort_keys=True)

  def trained(path: str) -> str:
    return fingerprint(clip_systems.ExportedSystem(path))

  def untrained(path: str, seed: int = 0) -> str:
    return fingerprint(clip_systems.UntrainedSystem(path, seed))

  assert trained(export.directory) == trained(str(copied))
  assert trained(export.directory) != trained(other.directory)
  # Two trainings of one architecture share their untrained network.
  assert untrained(export.directory) == untrained(other.directory)
  assert untrained(export.directory) != untrained(export.directory, 1)
  statistics_of = clip_systems.AudioStatisticsSystem
  assert fingerprint(statistics_of()) != fingerprint(statistics_of(_FRONT_END))


def test_another_precision_makes_other_untrained_vectors(
  export: exported.Exported, floatx: Callable[[str], None]
) -> None:
  in_single = clip_systems.UntrainedSystem(export.directory).fingerprint
  floatx("float64")
  in_double = clip_systems.UntrainedSystem(export.directory).fingerprint
  assert in_single != in_double


def test_systems_say_what_they_are(export: exported.Exported) -> None:
  trained = clip_systems.ExportedSystem(export.directory + "/")
  assert (trained.name_hint, trained.description) == (
    "small_cnn",
    "SmallCNN, trained",
  )
  untrained = clip_systems.UntrainedSystem(export.directory)
  assert untrained.description == "SmallCNN, random weights"
  assert trained.sample_rate_hz == untrained.sample_rate_hz == 16_000
  assert clip_systems.AudioStatisticsSystem().sample_rate_hz == 16_000


def test_an_export_that_cannot_be_rebuilt_has_no_untrained_network(
  export: exported.Exported, tmp_path: pathlib.Path
) -> None:
  copied = shutil.copytree(export.directory, tmp_path / "older")
  card = json.loads((copied / "model.json").read_text())
  del card["network"]
  (copied / "model.json").write_text(json.dumps(card))
  with pytest.raises(errors.ConfigError, match="export it again"):
    clip_systems.UntrainedSystem(str(copied))
  system = clip_systems.ExportedSystem(str(copied))
  assert system.description == "exported network, trained"
  np.testing.assert_array_equal(
    system(_waveforms(3.0))[0],
    clip_systems.ExportedSystem(export.directory)(_waveforms(3.0))[0],
  )
