"""Every window meets the network once, in batches that only files decide."""

import itertools
import random
import threading
from concurrent import futures

import numpy as np
import pytest

from music_embed.audio import streaming
from music_embed.data.ingestion import window_events
from music_embed.serving import embed_batches

_BATCH = 4
_SHAPE = (3, 2)


class _Network:
  """A vector tells its window, and what else was in the batch."""

  def __init__(self):
    self.sizes = []

  def __call__(self, windows):
    self.sizes.append(len(windows))
    own = windows[:, 0, 0]
    together = np.full_like(own, np.sum(own * np.arange(1, len(own) + 1)))
    return np.stack([own, together], axis=1)


def _facts(num_windows):
  return streaming.WindowFacts(
    num_samples=100,
    sample_rate_hz=100,
    source_rate_hz=100,
    num_channels=1,
    truncated=False,
    clipped=False,
    num_windows=num_windows,
    short=False,
  )


def _events(number, num_windows, fails=False):
  """All that the pool says of a file; values of windows are their own."""
  yield window_events.Opened(number, window_events.Header(title=str(number)))
  for first in range(0, num_windows, _BATCH):
    count = min(_BATCH, num_windows - first)
    values = 100.0 * number + np.arange(first, first + count)
    yield window_events.Windows(
      number,
      np.broadcast_to(values[:, None, None], (count, *_SHAPE)).astype("f4"),
      np.arange(first, first + count, dtype=np.float64),
    )
  facts = None if fails else _facts(num_windows)
  yield window_events.Ended(number, facts, "broken" if fails else "")


def _run(sizes, parts, order, fails=(), ahead=10**6):
  """Vectors of all files, given events in a seeded order between files."""
  network = _Network()
  with futures.ThreadPoolExecutor(1) as executor:
    batches = embed_batches.Batches(
      network,
      executor=executor,
      part_sizes=parts,
      batch_windows=_BATCH,
      ahead_windows=ahead,
    )
    open_files = [_events(n, s, n in fails) for n, s in enumerate(sizes)]
    numbers = list(range(len(sizes)))
    found = []
    while numbers:
      able = [n for n in numbers if batches.has_room(n)]
      number = order.choice(able)
      event = next(open_files[number])
      if isinstance(event, window_events.Ended):
        numbers.remove(number)
      batches.take(event)
      found += batches.finished(wait=False)
    found += batches.finished(wait=True)
  assert [len(files) for files in found] == list(parts)
  return [file for files in found for file in files], network


def test_vectors_come_back_to_their_windows():
  sizes = [1, 9, 4, 3, 8, 2, 5]
  files, network = _run(sizes, [3, 4], random.Random(0))
  assert sum(network.sizes) == sum(sizes)
  for number, (file, size) in enumerate(zip(files, sizes, strict=True)):
    assert file.header.title == str(number)
    own = np.concatenate(file.vectors)[:, 0]
    np.testing.assert_array_equal(own, 100 * number + np.arange(size))
    np.testing.assert_array_equal(np.concatenate(file.start_s), range(size))
    assert file.rest is None


def test_batches_are_full_but_the_last_of_each_part():
  sizes = [1, 9, 4, 3, 8, 2, 5]
  _, network = _run(sizes, [3, 4], random.Random(0))
  # 14 windows in the first part, 18 in the second.
  assert sorted(network.sizes) == [2, 2, *[4] * 7]


@pytest.mark.parametrize("seed", range(30))
def test_what_shares_a_batch_does_not_depend_on_the_workers(seed):
  rng = random.Random(seed)
  sizes = [rng.randint(1, 13) for _ in range(rng.randint(1, 12))]
  parts = []
  while sum(parts) < len(sizes):
    parts.append(min(rng.randint(1, 4), len(sizes) - sum(parts)))
  fails = {n for n in range(len(sizes)) if rng.random() < 0.2}
  runs = [
    _run(sizes, parts, random.Random(order), fails, ahead)[0]
    for order, ahead in itertools.product((1, 2), (0, 5, 10**6))
  ]
  for files in runs[1:]:
    for one, other in zip(runs[0], files, strict=True):
      assert one.reason == other.reason
      if one.facts is not None:
        np.testing.assert_array_equal(
          np.concatenate(one.vectors), np.concatenate(other.vectors)
        )


def test_a_file_that_fails_late_leaves_no_trace_in_others():
  sizes = [3, 7, 3, 2]
  with_it, _ = _run(sizes, [4], random.Random(1), fails={1})
  values = [np.concatenate(with_it[n].vectors) for n in (0, 2, 3)]
  # Without its rest, the others' windows are batched as if it were not there.
  joined = np.concatenate([v[:, 0] for v in values])
  first, second = joined[:4], joined[4:]
  expected = [
    np.sum(first * np.arange(1, 5)),
    np.sum(second * np.arange(1, 5)),
  ]
  np.testing.assert_array_equal(
    np.concatenate([v[:, 1] for v in values]), np.repeat(expected, 4)
  )


def test_files_behind_an_open_one_wait_once_enough_windows_do():
  with futures.ThreadPoolExecutor(1) as executor:
    batches = embed_batches.Batches(
      _Network(),
      executor=executor,
      part_sizes=[5],
      batch_windows=_BATCH,
      ahead_windows=6,
    )
    assert [batches.has_room(n) for n in (0, 4)] == [True, True]
    for number in (1, 2):
      for event in _events(number, 3):
        batches.take(event)
    assert [batches.has_room(n) for n in (0, 3, 4)] == [True, False, False]
    for event in _events(0, 2):
      batches.take(event)
    assert [batches.has_room(n) for n in (3, 4)] == [True, True]


def test_no_more_than_a_few_batches_wait_for_a_slow_network():
  may_go = threading.Event()
  waiting = []

  def network(windows):
    may_go.wait(30)
    return windows[:, 0, :]

  with futures.ThreadPoolExecutor(1) as executor:
    batches = embed_batches.Batches(
      network,
      executor=executor,
      part_sizes=[1],
      batch_windows=_BATCH,
      ahead_windows=100,
    )

    def give():
      for event in _events(0, 40 * _BATCH):
        batches.take(event)
        waiting.append(event)

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.3)
    assert giver.is_alive()
    assert len(waiting) <= 1 + 4
    may_go.set()
    giver.join(30)
    (files,) = batches.finished(wait=True)
  assert len(np.concatenate(files[0].vectors)) == 160


def test_a_network_that_fails_is_heard():
  def network(windows):
    raise ValueError("no memory")

  with futures.ThreadPoolExecutor(1) as executor:
    batches = embed_batches.Batches(
      network,
      executor=executor,
      part_sizes=[1],
      batch_windows=_BATCH,
      ahead_windows=1,
    )

    def give():
      for event in _events(0, 5):
        batches.take(event)
      list(batches.finished(wait=True))

    with pytest.raises(ValueError, match="no memory"):
      give()
