"""Rows come back by partition, from all segments; damage is named."""

import pathlib

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.engines import segments

_ROW = np.dtype([("key", "<u8"), ("value", "<i4")])


def _write(path: pathlib.Path, seed: int, num_chunks: int) -> np.ndarray:
  rng = np.random.default_rng(seed)
  written = []
  with segments.writing(str(path), _ROW, 5) as writer:
    for _ in range(num_chunks):
      rows = np.zeros(20, _ROW)
      rows["value"] = rng.permutation(20)
      partitions = np.sort(rng.integers(0, 4, 20))  # Number 4 stays empty.
      rows["key"] = partitions
      writer.append(rows, np.bincount(partitions, minlength=5))
      written.append(rows)
  return np.concatenate([np.empty(0, _ROW), *written])


def test_adjacent_partitions_are_read_from_all_chunks(
  tmp_path: pathlib.Path,
) -> None:
  paths = [tmp_path / name for name in "abc"]
  written = [_write(p, seed, seed) for seed, p in enumerate(paths)]
  everything = np.concatenate(written)
  names = [str(path) for path in paths]
  for partitions in (range(5), range(1, 3), range(3, 4), range(4, 5)):
    expected = everything[
      (everything["key"] >= partitions.start)
      & (everything["key"] < partitions.stop)
    ]
    found = segments.read(names, partitions, _ROW)
    assert sorted(found.tolist()) == sorted(expected.tolist())
  sizes = [segments.sizes(name) for name in names]
  assert (
    np.sum(sizes, axis=0).tolist()
    == np.bincount(everything["key"].astype(int), minlength=5).tolist()
  )


def test_a_segment_appears_whole_or_not_at_all(tmp_path: pathlib.Path) -> None:
  def interrupted() -> None:
    with segments.writing(str(tmp_path / "a"), _ROW, 2) as writer:
      writer.append(np.zeros(3, _ROW), np.array([1, 2]))
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    interrupted()
  assert not list(tmp_path.iterdir())


def test_a_damaged_segment_is_named(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "a"
  _write(path, 1, 2)
  with pytest.raises(errors.DataError, match=r"a: rows of 12 bytes"):
    segments.read([str(path)], range(2), np.int64)
  path.write_bytes(path.read_bytes()[:-7])
  with pytest.raises(errors.DataError, match=r"a: not a whole segment"):
    segments.read([str(path)], range(2), _ROW)


def test_rows_and_sizes_must_agree(tmp_path: pathlib.Path) -> None:
  with (
    pytest.raises(ValueError, match="add up"),
    segments.writing(str(tmp_path / "a"), _ROW, 2) as writer,
  ):
    writer.append(np.zeros(3, _ROW), np.array([1, 1]))
