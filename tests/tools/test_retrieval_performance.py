"""The benchmark of the index on a catalogue that takes seconds."""

import pathlib
import sys

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from tools.performance import retrieval  # noqa: E402


def test_every_figure_is_measured(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(retrieval, "_ROUNDS", 1)
  size = retrieval.Size(recordings=3_000, queries=50)
  found = {
    figure.name: figure
    for figure in retrieval.figures(str(tmp_path), size, kind="ivf")
  }
  assert all(np.isfinite(figure.value) for figure in found.values())
  for kind in ("sounds", "words", "mixes"):
    recall = found[f"index_recall_at_10_{kind}"]
    assert recall.reference_value == 1
    assert recall.value > 0.9
  assert found["index_on_disk"].ratio > 1
