"""Both sources read what they say, from training recordings only."""

from typing import Any

import numpy as np
import pytest

from music_embed.core import errors, keys, types
from music_embed.data.pipeline import (
  labelled,
  triplets,
  weighting,
)

_EDGES = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (3, 13), (6, 17), (12, 13)]


def _take(batches: Any, num: int) -> list[dict[str, np.ndarray]]:
  return list(batches.take(num).as_numpy_iterator())


def _assert_windows_come_from(
  written: Any, recordings: np.ndarray, windows: np.ndarray
) -> None:
  for recording, window in zip(recordings, windows, strict=True):
    log_mel = written.log_mels[recording]
    starts = range(len(log_mel) - len(window) + 1)
    assert any(
      np.array_equal(log_mel[start : start + len(window)], window)
      for start in starts
    )


def test_triplet_batches_hold_windows_of_their_recordings(
  write_dataset: Any,
) -> None:
  written = write_dataset(edges=_EDGES)
  source = triplets.TripletSource(batch_triplets=6)
  dataset = source.batches(written.open(), seed=1, first_step=0)
  assert dataset.element_spec[keys.WINDOWS].shape == (6, 3, 10, 4)
  assert dataset.element_spec[keys.RECORDING].shape == (6, 3)
  assert dataset.element_spec[keys.NEGATIVE_ALLOWED].shape == (6, 6)
  for batch in _take(dataset, 5):
    _assert_windows_come_from(
      written,
      batch[keys.RECORDING].ravel(),
      batch[keys.WINDOWS].reshape(-1, 10, 4),
    )
    assert batch[keys.NEGATIVE_ALLOWED].diagonal().all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_only_training_recordings_and_edges_make_triplets(
  write_dataset: Any, share: float
) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  source = triplets.TripletSource(
    batch_triplets=50, random_negative_share=share
  )
  pairs = set(map(tuple, dataset.graph("train").pairs().tolist()))
  found: set[tuple[int, int]] = set()
  for batch in _take(source.batches(dataset, seed=1, first_step=0), 20):
    recordings = batch[keys.RECORDING]
    assert recordings.max() < 12
    drawn = np.sort(recordings[:, :2], axis=1).tolist()
    found.update(map(tuple, drawn))
  assert found == pairs == {(0, 1), (1, 2), (2, 3), (4, 5), (5, 6)}


def test_labelled_batches_hold_windows_and_labels_of_their_recordings(
  write_dataset: Any,
) -> None:
  written = write_dataset()
  dataset = written.open()
  source = labelled.LabelledSource(batch_windows=40)
  batches = source.batches(dataset, seed=1, first_step=0)
  width = dataset.max_labels
  assert batches.element_spec[keys.LABEL_IDS].shape == (40, width)
  found: set[int] = set()
  for batch in _take(batches, 10):
    recordings = batch[keys.RECORDING]
    found.update(recordings.tolist())
    _assert_windows_come_from(written, recordings, batch[keys.WINDOWS])
    for recording, row in zip(recordings, batch[keys.LABEL_IDS], strict=True):
      labels = written.labels[recording].tolist()
      assert row.tolist() == labels + [-1] * (width - len(labels))
  with_labels = {i for i in range(12) if len(written.labels[i])}
  assert found == with_labels


@pytest.mark.parametrize(
  "source",
  [
    triplets.TripletSource(batch_triplets=4, random_negative_share=0.3),
    labelled.LabelledSource(batch_windows=5),
  ],
)
def test_a_batch_is_the_same_wherever_the_run_starts(
  write_dataset: Any, source: Any
) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  whole = _take(source.batches(dataset, seed=1, first_step=0), 12)
  resumed = _take(source.batches(dataset, seed=1, first_step=9), 3)
  for one, other in zip(whole[9:], resumed, strict=True):
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])
  other_seed = _take(source.batches(dataset, seed=2, first_step=9), 3)
  assert any(
    (one[keys.RECORDING] != other[keys.RECORDING]).any()
    for one, other in zip(resumed, other_seed, strict=True)
  )


_SOURCES = [
  triplets.TripletSource(
    batch_triplets=8,
    random_negative_share=0.3,
    anchor_weighting=weighting.LabelFrequency(),
  ),
  labelled.LabelledSource(
    batch_windows=12, recording_weighting=weighting.LabelFrequency(power=1.0)
  ),
]


@pytest.mark.parametrize("num_workers", [2, 4])
@pytest.mark.parametrize("source", _SOURCES)
def test_workers_share_the_same_global_batch(
  write_dataset: Any, source: Any, num_workers: int
) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  whole = _take(source.batches(dataset, seed=1, first_step=3), 4)
  slices = [
    _take(
      source.batches(
        dataset, seed=1, first_step=3, worker=types.Slice(k, num_workers)
      ),
      4,
    )
    for k in range(num_workers)
  ]
  for batch, *parts in zip(whole, *slices, strict=True):
    for name, expected in batch.items():
      joined = np.concatenate([part[name] for part in parts])
      np.testing.assert_array_equal(joined, expected)
      assert joined.dtype == expected.dtype


@pytest.mark.parametrize("source", _SOURCES)
def test_a_worker_reads_no_windows_but_its_own(
  write_dataset: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  whole = source.steps(dataset, seed=1).function(5)[keys.RECORDING]
  read: list[int] = []
  windows = dataset.windows

  def noted(recordings: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    read.extend(recordings.tolist())
    return windows(recordings, *rest)

  monkeypatch.setattr(dataset, "windows", noted)
  source.steps(dataset, seed=1, worker=types.Slice(1, 4)).function(5)
  quarter = len(whole) // 4
  assert read == whole[quarter : 2 * quarter].ravel().tolist()


@pytest.mark.parametrize("source", _SOURCES)
def test_a_batch_that_workers_cannot_share_is_refused(
  write_dataset: Any, source: Any
) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  with pytest.raises(errors.ConfigError, match="evenly by 5 workers"):
    source.batches(dataset, seed=0, first_step=0, worker=types.Slice(0, 5))


def test_labels_weigh_by_the_rarest_of_a_recording(write_dataset: Any) -> None:
  written = write_dataset()
  dataset = written.open()
  counts = dataset.label_counts.tolist()  # 9, 8, ... 1
  weights = weighting.LabelFrequency(power=0.5)(dataset, range(2, 12))
  expected = [
    max((counts[label] ** -0.5 for label in written.labels[i]), default=9**-0.5)
    for i in range(2, 12)
  ]
  np.testing.assert_allclose(weights, expected)
  even = weighting.LabelFrequency(power=0.0)(dataset, range(2, 12))
  assert even.tolist() == [1.0] * 10


def _assert_drawn_by(drawn: np.ndarray, weights: np.ndarray) -> None:
  expected = len(drawn) * weights / weights.sum()
  found = np.bincount(drawn, minlength=len(weights))
  assert (np.abs(found - expected) <= 4.5 * np.sqrt(expected)).all()


def test_recordings_are_drawn_by_their_weight(write_dataset: Any) -> None:
  dataset = write_dataset().open()
  by_frequency = weighting.LabelFrequency(power=1.0)
  source = labelled.LabelledSource(
    batch_windows=20_000, recording_weighting=by_frequency
  )
  drawn = source.steps(dataset, seed=0).function(0)[keys.RECORDING]
  has_labels = [len(dataset.label_ids(i)) > 0 for i in range(12)]
  weights = by_frequency(dataset, range(12))
  assert weights.max() > 3 * weights.min()
  _assert_drawn_by(drawn, weights * has_labels)


def test_anchors_are_drawn_by_their_weight(write_dataset: Any) -> None:
  dataset = write_dataset(edges=_EDGES).open()
  by_frequency = weighting.LabelFrequency(power=1.0)
  source = triplets.TripletSource(
    batch_triplets=2_000, anchor_weighting=by_frequency
  )
  steps = source.steps(dataset, seed=0)
  drawn = np.concatenate(
    [steps.function(step)[keys.RECORDING][:, 0] for step in range(10)]
  )
  weights = by_frequency(dataset, range(12))
  _assert_drawn_by(drawn, weights * (dataset.graph("train").degrees[:12] > 0))


def test_sources_refuse_what_makes_no_sense(write_dataset: Any) -> None:
  with pytest.raises(errors.ConfigError, match="batch_triplets"):
    triplets.TripletSource(batch_triplets=0)
  with pytest.raises(errors.ConfigError, match="random_negative_share"):
    triplets.TripletSource(batch_triplets=1, random_negative_share=1.5)
  with pytest.raises(errors.ConfigError, match="batch_windows"):
    labelled.LabelledSource(batch_windows=0)
  with pytest.raises(errors.ConfigError, match="power"):
    weighting.LabelFrequency(power=-0.5)
  # All edges lie outside the training part.
  dataset = write_dataset(edges=[(12, 13), (15, 16)]).open()
  source = triplets.TripletSource(batch_triplets=4)
  with pytest.raises(errors.DataError, match="no triplet can be drawn"):
    source.batches(dataset, seed=0, first_step=0)


def test_rows_are_padded_at_their_end() -> None:
  padded = labelled.padded_rows(
    np.array([0, 2, 2, 5]),
    np.array([7, 8, 1, 2, 3], np.int32),
    np.array([2, 1, 0]),
    4,
  )
  assert padded.dtype == np.int32
  assert padded.tolist() == [[1, 2, 3, -1], [-1] * 4, [7, 8, -1, -1]]
