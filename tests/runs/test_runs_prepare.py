"""Preparing a tiny corpus of real audio files, end to end."""

import csv
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from music_embed.core import errors, files, types
from music_embed.data.ingestion import featurize, job
from music_embed.data.ingestion import options as options_lib
from music_embed.data.mining import sanitize, splits
from music_embed.data.records import cache, prepared, quantize
from music_embed.runs import prepare

_NUM_GOOD = 18
_ROOT = pathlib.Path(prepare.__file__).parents[2]

_BY_HAND = """
import sys, time
from music_embed.runs import prepare
from music_embed.data.ingestion import options
from music_embed.data.mining import sanitize, splits
corpus, output, num_workers = sys.argv[1:]
prepare.prepare(
  recordings=f"{corpus}/recordings.csv",
  listening_log=f"{corpus}/log.csv.gz",
  output=output,
  num_workers=int(num_workers),
  ingestion_options=options.IngestionOptions(
    recordings_per_shard=4, vertices_per_shard=7
  ),
  split_options=splits.SplitOptions(0.2, 0.2),
  graph_options=sanitize.GraphOptions(min_recordings_per_user=2),
)
"""


def _write_audio(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(0)
  for number in range(_NUM_GOOD):
    suffix = ("wav", "flac", "ogg", "mp3")[number % 4]
    rate_hz = (16_000, 22_050, 44_100)[number % 3]
    size = (round(rate_hz * (3.5 + number / 8)), 1 + number % 2)
    noise = 0.1 * rng.standard_normal(size)
    soundfile.write(folder / f"{number}.{suffix}", noise, rate_hz)
  soundfile.write(folder / "short.wav", np.zeros(8_000), 16_000)
  soundfile.write(folder / "cut.wav", noise, 44_100)
  whole = (folder / "cut.wav").read_bytes()
  (folder / "cut.wav").write_bytes(whole[: len(whole) * 4 // 5])
  (folder / "cut to nothing.wav").write_bytes(whole[: len(whole) // 5])
  (folder / "text.mp3").write_text("no audio at all " * 100)
  (folder / "empty.wav").touch()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("corpus")
  (folder / "audio").mkdir()
  _write_audio(folder / "audio")
  with open(folder / "recordings.csv", "w", newline="") as file:
    table = csv.writer(file)
    columns = "recording_id audio title description artist music_share"
    table.writerow(columns.split())
    for number in range(_NUM_GOOD):
      suffix = ("wav", "flac", "ogg", "mp3")[number % 4]
      row = [f"r{number}", f"audio/{number}.{suffix}", f"Song {number % 3}"]
      table.writerow([*row, "lively, 東京", f"artist {number % 5}", "0.9"])
    for name in ("short.wav", "cut.wav", "cut to nothing.wav"):
      table.writerow([name, f"audio/{name}", "odd", "", "", ""])
    for name in ("text.mp3", "empty.wav", "missing.wav"):
      table.writerow([name, f"audio/{name}", "bad", "", "", ""])
    table.writerow(["speech", "audio/0.wav", "talk", "", "", "0.2"])
  rng = np.random.default_rng(1)
  with gzip.open(folder / "log.csv.gz", "wt", newline="") as file:
    log = csv.writer(file)
    log.writerow(["user_id", "recording_id", "count"])
    for user in range(30):
      for number in rng.permutation(_NUM_GOOD)[:8]:
        log.writerow([f"secret{user}", f"r{number}", 1 + user % 3])
      log.writerow([f"secret{user}", "text.mp3", 1])
    log.writerow(["secret0", "unheard of", 1])
    log.writerow(["secret0", "r1", -1])
    log.writerow(["loner", "r1", 1])
  return folder


def _command(
  corpus: pathlib.Path, output: pathlib.Path, num_workers: int = 2
) -> list[str]:
  arguments = [str(corpus), str(output), str(num_workers)]
  return [sys.executable, "-c", _BY_HAND, *arguments]


def _environment() -> dict[str, str]:
  return os.environ | {"PYTHONPATH": str(_ROOT)}


def _run(command: Sequence[str]) -> str:
  done = subprocess.run(
    command, env=_environment(), capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  return done.stderr


def _contents(output: pathlib.Path) -> dict[str, bytes]:
  return {
    str(path.relative_to(output)): path.read_bytes()
    for path in output.rglob("*")
    if path.is_file() and cache.FOLDER not in path.parts
  }


@pytest.fixture(scope="module")
def undisturbed(
  corpus: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
  output = tmp_path_factory.mktemp("undisturbed") / "dataset"
  _run(_command(corpus, output))
  return output


def _lines(path: pathlib.Path) -> list[dict[str, Any]]:
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_can_be_used_is_kept_and_the_rest_named(
  undisturbed: pathlib.Path,
) -> None:
  dataset = prepared.PreparedDataset(str(undisturbed))
  good = {f"r{i}" for i in range(_NUM_GOOD)}
  assert set(dataset.recording_ids) == good | {"short.wav", "cut.wav"}
  reasons = {
    entry["recording_id"]: entry["reason"]
    for entry in _lines(undisturbed / "rejected.jsonl")
    if "recording_id" in entry
  }
  assert set(reasons) == {
    "text.mp3",
    "empty.wav",
    "missing.wav",
    "cut to nothing.wav",
  }
  assert reasons["missing.wav"] == "no such file"
  assert "truncated" in reasons["cut to nothing.wav"]
  (truncated,) = _lines(undisturbed / "truncated.jsonl")
  assert truncated["recording_id"] == "cut.wav"
  flags = dict(zip(dataset.recording_ids, dataset.flags, strict=True))
  assert "short" in flags["short.wav"]
  assert "truncated" in flags["cut.wav"]


def test_the_manifest_counts_everything(undisturbed: pathlib.Path) -> None:
  counts = prepared.PreparedDataset(str(undisturbed)).manifest.counts
  assert counts["table_rows"] == 25
  assert counts["recordings_dropped_too_little_music"] == 1
  assert counts["recordings"] == 20
  assert counts["recordings_rejected"] == 4
  assert counts["recordings_short"] == counts["recordings_truncated"] == 1
  assert counts["log_rows"] == 30 * 9 + 3
  assert counts["log_rows_rejected_recording"] == 30
  assert counts["log_rows_unknown_recording"] == 1
  assert counts["log_rows_broken"] == 1
  assert counts["users"] == 31
  assert counts["users_dropped_too_few_recordings"] == 1


def test_checksums_are_those_of_the_files(undisturbed: pathlib.Path) -> None:
  manifest = prepared.PreparedDataset(str(undisturbed)).manifest
  names = {entry.name for entry in manifest.files} | {"manifest.json"}
  assert names == set(_contents(undisturbed))
  for entry in manifest.files:
    assert files.sha256(str(undisturbed / entry.name)) == entry.sha256


def test_no_user_leaves_a_trace(undisturbed: pathlib.Path) -> None:
  for name, content in _contents(undisturbed).items():
    assert b"secret" not in content, name
    assert b"loner" not in content, name


def test_log_mels_are_those_of_the_audio(
  corpus: pathlib.Path, undisturbed: pathlib.Path
) -> None:
  dataset = prepared.PreparedDataset(str(undisturbed))
  for name, number in (("2.ogg", 2), ("3.mp3", 3), ("4.wav", 4)):
    expected = featurize.featurize(
      str(corpus / "audio" / name),
      types.LogMelFrontEnd(),
      types.Quantization.default(types.LogMelFrontEnd()),
      max_duration_s=600.0,
    )
    stored = dataset.rows(dataset.recording_ids.index(f"r{number}"))
    np.testing.assert_array_equal(stored, expected.rows)
  restored = quantize.dequantize(stored, dataset.quantization)
  assert restored.min() >= dataset.quantization.low - 1e-5


def test_labels_are_the_ngrams_of_the_texts(undisturbed: pathlib.Path) -> None:
  dataset = prepared.PreparedDataset(str(undisturbed))
  recording = dataset.recording_ids.index("r4")
  labels = {dataset.vocabulary[i] for i in dataset.label_ids(recording)}
  assert labels == {
    "song",
    "1",
    "song 1",
    "lively",
    "東京",
    "lively 東京",
  }


def test_edges_are_recounted_from_the_log(
  corpus: pathlib.Path, undisturbed: pathlib.Path
) -> None:
  dataset = prepared.PreparedDataset(str(undisturbed))
  listeners: dict[str, set[str]] = {}
  with gzip.open(corpus / "log.csv.gz", "rt") as file:
    for row in csv.DictReader(file):
      if int(row["count"]) > 0:
        listeners.setdefault(row["recording_id"], set()).add(row["user_id"])
  graph = dataset.graph(None)
  counts = dict(
    zip(
      map(tuple, graph.pairs().tolist()),
      graph.counts[graph.rows() < graph.indices].tolist(),
      strict=True,
    )
  )
  ids = dataset.recording_ids
  for i, one in enumerate(ids):
    for j, other in enumerate(ids[:i]):
      empty: set[str] = set()
      both = listeners.get(one, empty) & listeners.get(other, empty)
      expected = len(both) if len(both) >= 3 else None
      assert counts.get((j, i)) == expected


def test_the_number_of_workers_changes_nothing(
  corpus: pathlib.Path, undisturbed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  _run(_command(corpus, tmp_path / "dataset", num_workers=3))
  assert _contents(tmp_path / "dataset") == _contents(undisturbed)


def test_a_finished_dataset_is_left_alone(
  corpus: pathlib.Path, undisturbed: pathlib.Path
) -> None:
  before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
  assert "already prepared" in _run(_command(corpus, undisturbed))
  after = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
  assert before == after


def test_an_interrupted_run_goes_on_and_ends_the_same(
  corpus: pathlib.Path, undisturbed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  output = tmp_path / "dataset"
  kept: dict[pathlib.Path, int] = {}
  for num_shards in (1, 3):
    process = subprocess.Popen(
      _command(corpus, output, num_workers=1),
      env=_environment(),
      stderr=subprocess.DEVNULL,
    )
    results = output / ".prepare"
    while len(list(results.glob("*tfrecord*.json"))) < num_shards:
      assert process.poll() is None, "finished before it could be killed"
      time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "manifest.json").exists()
    for path, modified in kept.items():
      assert path.stat().st_mtime_ns == modified, "was written again"
    for path in results.glob("*tfrecord*.json"):
      shard = output / path.name.removesuffix(".json")
      kept[shard] = shard.stat().st_mtime_ns
  _run(_command(corpus, output))
  assert len(kept) >= 3
  for path, modified in kept.items():
    assert path.stat().st_mtime_ns == modified, "was written again"
  assert _contents(output) == _contents(undisturbed)


def _prepare(
  corpus: pathlib.Path, output: pathlib.Path, **arguments: Any
) -> None:
  prepare.prepare(
    recordings=str(corpus / "recordings.csv"),
    listening_log=str(corpus / "log.csv.gz"),
    output=str(output),
    num_workers=1,
    **arguments,
  )


def test_decoded_audio_outlives_a_log_that_cannot_be_read_again(
  corpus: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  log, output = tmp_path / "log.parquet", tmp_path / "dataset"
  table = {"user_id": ["u"], "recording_id": ["0"]}
  pyarrow.parquet.write_table(pyarrow.table(table), log)

  def run() -> None:
    prepare.prepare(
      recordings=str(corpus / "recordings.csv"),
      listening_log=str(log),
      output=str(output),
      num_workers=1,
    )

  def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(job, "mine", interrupt)
    with pytest.raises(KeyboardInterrupt):
      run()
  before = {
    path: path.stat().st_mtime_ns for path in output.glob("*.tfrecord*")
  }
  assert before
  with monkeypatch.context() as patched:
    # As where the environment of the second run lacks it.
    patched.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(errors.DataError, match="parquet cannot be read"):
      run()
  run()
  assert (
    before.items()
    <= {
      path: path.stat().st_mtime_ns for path in output.glob("*.tfrecord*")
    }.items()
  )


def test_other_options_are_refused_and_nothing_is_touched(
  corpus: pathlib.Path, undisturbed: pathlib.Path
) -> None:
  before = _contents(undisturbed)
  with pytest.raises(
    errors.DataError,
    match=r"options\.graph\.tau was 3, is now 4.*Choose another --output",
  ):
    _prepare(
      corpus,
      undisturbed,
      ingestion_options=options_lib.IngestionOptions(
        recordings_per_shard=4, vertices_per_shard=7
      ),
      split_options=splits.SplitOptions(0.2, 0.2),
      graph_options=sanitize.GraphOptions(tau=4, min_recordings_per_user=2),
    )
  assert _contents(undisturbed) == before


def test_an_unfinished_dataset_of_other_inputs_is_refused(
  corpus: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  output = tmp_path / "dataset"
  (output / ".prepare").mkdir(parents=True)
  plan = output / ".prepare" / "plan.json"
  plan.write_text('{"seed": 5}')
  with pytest.raises(errors.DataError, match="seed was 5, is now 0"):
    _prepare(corpus, output)
  assert plan.read_text() == '{"seed": 5}'


def test_a_folder_with_other_things_is_refused(
  corpus: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  (tmp_path / "thesis.tex").touch()
  with pytest.raises(errors.DataError, match="is not empty"):
    _prepare(corpus, tmp_path)
  assert os.listdir(tmp_path) == ["thesis.tex"]


def test_where_no_audio_can_be_used_nothing_is_remembered(
  corpus: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  lonely = tmp_path / "corpus"  # The tables without their audio.
  lonely.mkdir()
  for name in ("recordings.csv", "log.csv.gz"):
    (lonely / name).write_bytes((corpus / name).read_bytes())
  output = tmp_path / "dataset"
  with pytest.raises(errors.DataError, match="not one recording could be used"):
    _prepare(lonely, output)
  (lonely / "audio").symlink_to(corpus / "audio")
  _prepare(lonely, output)
  assert prepared.PreparedDataset(str(output)).num_recordings == 20


def test_a_missing_table_is_named_before_anything_is_written(
  corpus: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  with pytest.raises(errors.DataError, match="nowhere.csv: no such file"):
    prepare.prepare(
      recordings=str(corpus / "recordings.csv"),
      listening_log=str(tmp_path / "nowhere.csv"),
      output=str(tmp_path / "dataset"),
    )
  assert os.listdir(tmp_path) == []
