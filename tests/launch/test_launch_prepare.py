"""launch/prepare.py as a user meets it: in a process of its own."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _launch(*arguments: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, "launch/prepare.py", *arguments],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )


@pytest.fixture
def tables(tmp_path: pathlib.Path) -> list[str]:
  noise = np.random.default_rng(0).standard_normal(60_000) / 10
  rows = ["recording_id,audio,title,description"]
  for number in range(3):
    soundfile.write(tmp_path / f"{number}.wav", noise, 16_000)
    rows.append(f"{number},{number}.wav,one two,three")
  recordings = tmp_path / "recordings.csv"
  recordings.write_text("\n".join(rows))
  log = tmp_path / "log.tsv"
  events = [f"u{user}\t{number}" for user in range(4) for number in range(3)]
  log.write_text("\n".join(["user_id\trecording_id", *events]))
  return [f"--recordings={recordings}", f"--listening_log={log}"]


def test_gin_decides_how_a_dataset_is_prepared(
  tables: list[str], tmp_path: pathlib.Path
) -> None:
  output = tmp_path / "dataset"
  done = _launch(
    *tables,
    f"--output={output}",
    "--num_workers=1",
    "--gin_file=gin/datasets/huang2020.gin",
    "--gin_param=VocabularyOptions.max_ngram = 1",
    "--gin_param=GraphOptions.min_recordings_per_user = 3",
    "--gin_param=SplitOptions.validation_share = 0.0",
    "--gin_param=SplitOptions.evaluation_share = 0.0",
  )
  assert done.returncode == 0, done.stderr
  manifest = json.loads((output / "manifest.json").read_text())
  assert manifest["splits"] == {"train": 3, "validation": 0, "evaluation": 0}
  assert manifest["counts"]["edges"] == 3
  vocabulary = (output / "vocabulary.tsv").read_text()
  assert vocabulary == "one\t3\nthree\t3\ntwo\t3\n"


@pytest.mark.parametrize(
  ("argument", "culprit", "code"),
  [
    ("--gin_param=GraphOptions.tao = 3", "tao", 2),
    ("--gin_param=GraphOptions.tau = 0", "GraphOptions.tau", 2),
    ("--gin_file=gin/nope.gin", "gin/nope.gin", 2),
    ("--num_workers=0", "num_workers", 2),
    ("--engine=dask", "engine", 2),
    ("--spark_master=yarn", "only with --engine=spark", 2),
    ("--recordings=nowhere.csv", "nowhere.csv: no such file", 1),
    ("--recordings=README.md", "README.md: not a table", 1),
  ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
  tables: list[str],
  tmp_path: pathlib.Path,
  argument: str,
  culprit: str,
  code: int,
) -> None:
  output = tmp_path / "dataset"
  done = _launch(
    *tables,
    f"--output={output}",
    "--gin_file=gin/datasets/huang2020.gin",
    argument,
  )
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert done.returncode == code
  assert not output.exists()


@pytest.mark.parametrize(
  ("output", "culprit"),
  [
    ("a_file", "a_file is not a folder"),
    ("a_file/dataset", "a_file/dataset: Not a directory"),
  ],
)
def test_an_output_that_cannot_be_is_one_line(
  tables: list[str], tmp_path: pathlib.Path, output: str, culprit: str
) -> None:
  (tmp_path / "a_file").touch()
  done = _launch(*tables, f"--output={tmp_path / output}")
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert done.returncode == 1
