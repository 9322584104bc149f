"""The working folder of prepare belongs to one request and one process."""

import contextlib
import pathlib
from typing import Any

import pytest

from music_embed.core import errors
from music_embed.data.ingestion import state
from music_embed.data.records import manifest


def _begin(output: pathlib.Path, request: dict[str, Any]) -> None:
  """Begins, and is interrupted after the first phase."""
  with (
    contextlib.suppress(KeyboardInterrupt),
    state.unfinished(str(output), request) as progress,
  ):
    pathlib.Path(progress.folder("log"), "events").touch()
    raise KeyboardInterrupt


def test_what_is_left_without_a_plan_is_not_gone_on_with(
  tmp_path: pathlib.Path,
) -> None:
  output = tmp_path / "dataset"
  _begin(output, {"seed": 0})
  # As a kill leaves it while a refused request is discarded.
  (output / ".prepare" / "plan.json").unlink()
  with state.unfinished(str(output), {"seed": 1}) as progress:
    assert not list(pathlib.Path(progress.folder("log")).iterdir())


def test_a_request_is_compared_again_under_the_lock(
  tmp_path: pathlib.Path,
) -> None:
  output = tmp_path / "dataset"
  assert state.finished_manifest(str(output), {"seed": 1}) is None
  _begin(output, {"seed": 0})
  with (
    pytest.raises(errors.DataError, match="seed was 0, is now 1"),
    state.unfinished(str(output), {"seed": 1}),
  ):
    pass
  (output / manifest.FILE_NAME).touch()
  with (
    pytest.raises(errors.DataError, match="just finished it"),
    state.unfinished(str(output), {"seed": 0}),
  ):
    pass
