"""launch/export.py as a user meets it: in a process of its own."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
  ("arguments", "code", "culprit"),
  [
    (["--model=m", "--dataset=d"], 2, "--output"),
    (["--model=m", "--dataset=d", "--outputs=o"], 2, "outputs"),
    (["--model=m", "--dataset=d", "--output=o", "--top_k=0"], 2, "--top_k=0"),
    (["--model=m", "--dataset=nope", "--output=o"], 1, "nope"),
    (
      ["--model=m", "--dataset=d", "--output=o", "--formats=tflite,coreml"],
      2,
      "--formats=coreml",
    ),
  ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
  arguments: list[str], code: int, culprit: str, tmp_path: pathlib.Path
) -> None:
  done = subprocess.run(
    [sys.executable, str(_ROOT / "launch" / "export.py"), *arguments],
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
