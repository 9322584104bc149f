import csv
import dataclasses
import gzip
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from music_embed.audio import decode
from music_embed.core import errors
from music_embed.data.corpora import synthetic
from music_embed.data.corpora.synthetic import instruments

_TOOL = pathlib.Path(__file__).parents[2] / "tools" / "make_corpus.py"
_CONFIG = synthetic.tiny_config(clip_s=1.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pathlib.Path:
  directory = tmp_path_factory.mktemp("corpus")
  synthetic.write_corpus(str(directory), config=_CONFIG, num_workers=1)
  return directory


def _contents(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    str(path.relative_to(directory)): path.read_bytes()
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }


def _recordings(corpus: pathlib.Path) -> list[dict[str, str]]:
  with open(corpus / "recordings.csv", encoding="utf-8", newline="") as file:
    return list(csv.DictReader(file))


def test_several_processes_write_the_same_bytes(corpus, tmp_path):
  synthetic.write_corpus(str(tmp_path), config=_CONFIG, num_workers=2)
  assert _contents(tmp_path) == _contents(corpus)


def test_another_seed_gives_another_world(corpus, tmp_path):
  config = dataclasses.replace(_CONFIG, seed=1)
  synthetic.write_corpus(str(tmp_path), config=config, num_workers=1)
  ours, other = _contents(corpus), _contents(tmp_path)
  for name in ("recordings.csv", "listening_log.csv.gz", "audio/r00000.flac"):
    assert ours.get(name) != other.get(name)


def test_the_table_of_recordings_parses(corpus):
  rows = _recordings(corpus)
  assert list(rows[0]) == [
    "recording_id",
    "audio",
    "title",
    "description",
    "artist",
    "music_share",
  ]
  assert len(rows) == 24
  assert len({row["recording_id"] for row in rows}) == 24
  assert len({row["artist"] for row in rows}) == 12
  assert all(row["title"] and row["artist"] for row in rows)
  shares = [float(row["music_share"]) for row in rows]
  assert sum(share < 0.5 for share in shares) == 1
  assert max(shares) <= 1.0


def test_the_listening_log_parses(corpus):
  with gzip.open(
    corpus / "listening_log.csv.gz", "rt", encoding="utf-8", newline=""
  ) as file:
    rows = list(csv.DictReader(file))
  known = {row["recording_id"] for row in _recordings(corpus)}
  assert {row["recording_id"] for row in rows} <= known
  assert len({row["user_id"] for row in rows}) == 150
  assert all(int(row["count"]) >= 1 for row in rows)
  pairs = {(row["user_id"], row["recording_id"]) for row in rows}
  assert len(pairs) == len(rows)


def test_the_truth_names_genre_family_and_instruments(corpus):
  truth = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
  assert set(truth["recordings"]) == {
    row["recording_id"] for row in _recordings(corpus)
  }
  for content in truth["recordings"].values():
    assert content["family"] == truth["genre_families"][content["genre"]]
    assert set(content["instruments"]) <= set(instruments.NAMES)
  (ambiguous,) = truth["ambiguous_words"]
  one, other = ambiguous["genres"]
  assert truth["genre_families"][one] != truth["genre_families"][other]


def test_every_file_decodes_to_the_rendered_length(corpus):
  truth = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
  formats, rates, channels = set(), set(), set()
  for row in _recordings(corpus):
    decoded = decode.decode(str(corpus / row["audio"]))
    expected_s = truth["recordings"][row["recording_id"]]["duration_s"]
    assert decoded.duration_s == pytest.approx(expected_s, abs=2e-3)
    assert not decoded.truncated
    formats.add(row["audio"].rpartition(".")[2])
    rates.add(decoded.source_rate_hz)
    channels.add(decoded.num_channels)
  assert formats == {"wav", "flac", "ogg", "mp3"}
  assert len(rates) == 5
  assert channels == {1, 2}


def test_an_interrupted_corpus_is_completed_and_whole_files_are_kept(
  corpus, tmp_path
):
  synthetic.write_corpus(str(tmp_path), config=_CONFIG, num_workers=1)
  audio = sorted((tmp_path / "audio").iterdir())
  for path in audio[:3]:
    path.unlink()
  (tmp_path / "recordings.csv").unlink()
  (tmp_path / "audio" / "r00001.wav.tmp123").write_bytes(b"half a file")
  kept = {path: path.stat().st_mtime_ns for path in audio[3:]}

  synthetic.write_corpus(str(tmp_path), config=_CONFIG, num_workers=1)

  assert _contents(tmp_path) == _contents(corpus)
  assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_a_directory_with_another_world_is_refused(corpus):
  before = _contents(corpus)
  other = dataclasses.replace(_CONFIG, num_listeners=151)
  with pytest.raises(errors.DataError, match="other settings"):
    synthetic.write_corpus(str(corpus), config=other, num_workers=1)
  assert _contents(corpus) == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_killed_parent_and_the_corpus_is_resumed(
  corpus, tmp_path
):
  command = [sys.executable, str(_TOOL), f"--output={tmp_path}", "--tiny"]
  killed = subprocess.Popen(
    [*command, "--clip_s=1.5"],
    stderr=subprocess.DEVNULL,
    env={**os.environ, "PYTHONPATH": str(_TOOL.parents[1])},
  )
  while not list(tmp_path.glob("audio/r*")) and killed.poll() is None:
    time.sleep(0.01)
  workers = _children(killed.pid)
  killed.kill()
  killed.wait()
  assert len(workers) >= 2

  deadline = time.monotonic() + 20
  while any(map(_is_running, workers)) and time.monotonic() < deadline:
    time.sleep(0.05)

  assert not any(map(_is_running, workers))
  assert not (tmp_path / "recordings.csv").exists()
  synthetic.write_corpus(str(tmp_path), config=_CONFIG, num_workers=1)
  assert _contents(tmp_path) == _contents(corpus)


def _children(pid: int) -> list[int]:
  """Processes whose parent is `pid`."""
  children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
  return [int(child) for child in children.split()]


def _is_running(pid: int) -> bool:
  try:
    status = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except (FileNotFoundError, ProcessLookupError):
    return False
  return status.rpartition(")")[2].split()[0] not in "ZX"
