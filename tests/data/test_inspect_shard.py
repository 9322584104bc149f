"""tools/inspect_shard.py on a small dataset."""

import importlib.util
import pathlib
import re
from types import ModuleType
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from music_embed.core import types
from music_embed.data.records import manifest, quantize

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
  spec = importlib.util.spec_from_file_location(
    "inspect_shard", _ROOT / "tools/inspect_shard.py"
  )
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def written(write_dataset: Any) -> Any:
  return write_dataset()


def test_it_lists_the_records_of_a_shard(
  tool: ModuleType, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
  shard = f"{written.directory}/train.tfrecord-00001-of-00003"
  assert tool.main([shard]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == shard
  assert lines[-1] == "all checksums hold"
  assert len(lines) == 1 + 5 + 1
  # Recording 5 has 25 rows: 24 hops of 160 samples and a frame of 400.
  assert "id5" in lines[1]
  assert "25 rows     0.27 s" in lines[1]
  assert f"{len(written.labels[5])} labels (word" in lines[1]


def test_it_lists_vertices_and_all_shards_of_a_dataset(
  tool: ModuleType, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
  assert tool.main([written.directory]) == 0
  text = capsys.readouterr().out
  assert "recording 2: 2 neighbours, 4 to 5 listeners" in text
  assert "id17" in text


@pytest.mark.parametrize(
  ("name", "position", "message"),
  [
    ("train.tfrecord-00001-of-00003", -30, "record 4 .*contents do not match"),
    ("train.tfrecord-00001-of-00003", 2, "record 0 .*length does not match"),
    ("graph.tfrecord-00000-of-00003", 14, "record 0 .*contents do not match"),
    ("train.index-00002-of-00003", 40, "index-00002-of-00003: damaged"),
  ],
)
def test_any_damage_is_named(
  tool: ModuleType,
  written: Any,
  capsys: pytest.CaptureFixture[str],
  name: str,
  position: int,
  message: str,
) -> None:
  path = pathlib.Path(written.directory, name)
  data = bytearray(path.read_bytes())
  data[position] ^= 1
  path.write_bytes(data)
  assert tool.main([written.directory, "--check"]) == 1
  captured = capsys.readouterr()
  assert captured.out == "damaged\n"
  assert len(captured.err.splitlines()) <= 2
  assert re.search(message, captured.err)


def test_a_shard_that_was_cut_short_is_shown_up_to_there(
  tool: ModuleType, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
  path = pathlib.Path(written.directory, "train.tfrecord-00001-of-00003")
  path.write_bytes(path.read_bytes()[:-1])
  assert tool.main([str(path)]) == 1
  captured = capsys.readouterr()
  assert "id8" in captured.out
  assert "record 4 is cut short" in captured.err


def test_a_window_is_that_of_the_recording(
  tool: ModuleType, written: Any
) -> None:
  made = manifest.load(written.directory)
  shard = f"{written.directory}/train.tfrecord-00001-of-00003"
  by_number = tool.window(shard, made, "2", 0.05)
  by_id = tool.window(shard, made, "id7", 0.05)
  assert by_number[:2] == by_id[:2] == ("id7", 0.05)
  expected = quantize.dequantize(
    written.log_mels[7][5:15], types.Quantization.default(made.front_end)
  )
  np.testing.assert_array_equal(by_id[2], expected)


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--record=id7", "--window=0.3"], "start between 0 and 0.210 s"),
    (["--record=nobody"], "holds no recording 'nobody'"),
  ],
)
def test_a_window_that_there_is_not_is_one_line(
  tool: ModuleType,
  written: Any,
  capsys: pytest.CaptureFixture[str],
  flags: list[str],
  message: str,
) -> None:
  shard = f"{written.directory}/train.tfrecord-00001-of-00003"
  assert tool.main([shard, *flags]) == 1
  captured = capsys.readouterr()
  assert message in captured.err
  assert captured.err.count("\n") == 1


def test_the_terminal_shows_time_and_frequency(
  tool: ModuleType, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
  shard = f"{written.directory}/train.tfrecord-00001-of-00003"
  assert tool.main([shard, "--record=0"]) == 0
  text = capsys.readouterr().out
  assert text.startswith("id5, from 0.00 s\n")
  assert "Hz +0 s" in text
  assert text.rstrip().endswith("0.10 s")


@pytest.mark.parametrize(
  "front_end", [types.LogMelFrontEnd(), types.WaveformFrontEnd()]
)
def test_a_loud_moment_is_drawn_where_it_is(
  tool: ModuleType, front_end: types.FrontEnd
) -> None:
  values = np.zeros(front_end.window_shape, np.float32)
  middle = len(values) // 2
  values[middle : middle + len(values) // 20] = 0.9
  line = tool.draw(values, front_end).splitlines()[1]
  column = line.find("#" if front_end.kind == "waveform" else "@")
  # Nine characters of frequencies stand before 75 of time.
  assert 9 + 36 <= column <= 9 + 41


def test_a_png_is_a_picture(
  tool: ModuleType, written: Any, tmp_path: pathlib.Path
) -> None:
  shard = f"{written.directory}/train.tfrecord-00001-of-00003"
  png = tmp_path / "window.png"
  assert tool.main([shard, "--record=0", f"--png={png}"]) == 0
  image = matplotlib.image.imread(png)
  assert image.shape[0] > 300
  assert image.std() > 0.1


def test_a_missing_shard_does_not_hide_what_else_is_wrong(
  tool: ModuleType, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
  root = pathlib.Path(written.directory)
  (root / "graph.tfrecord-00000-of-00003").unlink()
  with (root / "vocabulary.tsv").open("ab") as file:
    file.write(b"x")
  shard = root / "train.tfrecord-00001-of-00003"
  shard.write_bytes(shard.read_bytes()[:-1])
  assert tool.main([written.directory, "--check"]) == 1
  missing, cut, table = capsys.readouterr().err.splitlines()
  assert missing.endswith("graph.tfrecord-00000-of-00003: missing")
  assert "record 4 is cut short" in cut
  assert "vocabulary.tsv: damaged" in table


@pytest.mark.parametrize(
  ("name", "flags", "message"),
  [
    ("nowhere", [], "nowhere: no such file"),
    ("train.index-00001-of-00003", [], "00003: not a shard: name a"),
    ("graph.tfrecord-00000-of-00003", ["--record=0"], "holds the graph"),
  ],
)
def test_a_wrong_file_is_one_line_that_names_it(
  tool: ModuleType,
  written: Any,
  capsys: pytest.CaptureFixture[str],
  name: str,
  flags: list[str],
  message: str,
) -> None:
  assert tool.main([f"{written.directory}/{name}", *flags]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line
