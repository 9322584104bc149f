"""Tests of the tables of tools/compare_precision.py and compare_replicas.py."""

import numpy as np

from tools import compare_precision, compare_replicas


def _of_variants(values, interval=None):
  return {
    name: interval or {"ap": value, "auc": value}
    for name, value in zip(compare_precision.VARIANTS, values, strict=True)
  }


def test_variants_are_compared_with_float32():
  intervals = _of_variants([0] * 3, {"ap": [0.4, 0.6], "auc": [0.4, 0.6]})
  measured = _of_variants([0.5, 0.49, 0.52])
  text = compare_precision.table(
    {
      "link": measured,
      "label": measured,
      "intervals": {"link": intervals, "label": intervals},
    }
  )
  lines = text.splitlines()
  assert lines[1].split() == ["float32", "0.5000", "[0.400,", "0.600]"]
  assert lines[2].split()[-1] == "-0.0100"
  assert lines[3].split()[-1] == "+0.0200"


def test_replicas_are_compared_with_one_at_some_steps():
  one = np.full(5, 2.0)
  text = compare_replicas.table(
    {1: one, 2: one + [0, 0, 0, 0, 1e-3]},
    {1: np.array([3.0, 4.0]), 2: np.array([3.0, 4.05])},
  )
  lines = [line.split() for line in text.splitlines()]
  assert lines[1] == ["1", "2.000000", "0.0e+00"]
  assert lines[4] == ["5", "2.000000", "5.0e-04"]  # 1e-3 of 2.
  assert lines[5][-1] == "1.0e-02"  # .05 of 5.
