"""launch/factorize.py as a user meets it: in a process of its own."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
  ("arguments", "code", "culprit"),
  [
    (["--dataset=d"], 2, "--output"),
    (["--dataset=nope", "--output=o"], 1, "nope"),
    (
      [
        "--dataset=d",
        "--output=o",
        "--gin_file=gin/systems/huang2020/factorize.gin",
        "--gin_param=NUM_FACTORS = 0",
      ],
      2,
      "num_factors=0",
    ),
    (
      [
        "--dataset=d",
        "--output=o",
        "--gin_file=gin/systems/huang2020/factorize.gin",
        "--gin_param=GRAPH = 'some'",
      ],
      2,
      "graph='some'",
    ),
  ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
  arguments: list[str], code: int, culprit: str, tmp_path: pathlib.Path
) -> None:
  done = subprocess.run(
    [sys.executable, str(_ROOT / "launch" / "factorize.py"), *arguments],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.returncode == code
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert list(tmp_path.iterdir()) == []
