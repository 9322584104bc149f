"""launch/neighbors.py as a user meets it: in a process of its own."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
  ("arguments", "code", "culprit"),
  [
    (["bebop"], 2, "--model"),
    (["--model=m"], 2, "nothing to look up"),
    (["--model=nowhere", "bebop"], 2, "nowhere"),
    (["--model=m", "--dataset=nope", "bebop"], 1, "nope"),
    (["--model=m", "--top=3", "bebop"], 2, "top"),
  ],
)
def test_a_wrong_call_is_one_line(
  arguments: list[str], code: int, culprit: str, tmp_path: pathlib.Path
) -> None:
  done = subprocess.run(
    [sys.executable, str(_ROOT / "launch" / "neighbors.py"), *arguments],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.returncode == code, done.stderr
  (line,) = done.stderr.strip().splitlines()
  assert culprit in line
  assert done.stdout == ""
