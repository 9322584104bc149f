"""Windows of many files to full batches, and vectors back to their files.

What shares a batch is decided by the files and their order alone, not by which
worker was faster, since a network's sums may differ in their last bits between
batches: each file's full pieces are a batch by themselves, and what is left of
the files of a part is joined in the files' order.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import numpy as np
import numpy.typing as npt

from music_embed.audio import streaming
from music_embed.data.ingestion import window_events

Array = npt.NDArray[np.float32]
Owners = list[tuple["File", int]]

_AT_ONCE = 4
"""Batches that wait for the network while the next windows are received."""


@dataclasses.dataclass
class File:
  """A file of a part.

  Attributes:
    header: what it says of itself.
    start_s: float64 pieces, where its windows begin.
    vectors: float32 [windows, dim] pieces.
    rest: windows that fill no batch, until they are joined.
    ended: whether it came to its end.
    facts: what was found out; None where it cannot be used.
    reason: why it cannot.
  """

  header: window_events.Header = dataclasses.field(
    default_factory=window_events.Header
  )
  start_s: list[npt.NDArray[np.float64]] = dataclasses.field(
    default_factory=list
  )
  vectors: list[Array] = dataclasses.field(default_factory=list)
  rest: Array | None = None
  ended: bool = False
  facts: streaming.WindowFacts | None = None
  reason: str = ""


class _Part:
  """Files whose rests share batches."""

  def __init__(self, size: int) -> None:
    self.files = [File() for _ in range(size)]
    self.num_joined = 0
    self.num_batches = 0  # That the network still has.
    self.num_rests = 0
    self._rests: collections.deque[tuple[File, Array]] = collections.deque()

  @property
  def is_joined(self) -> bool:
    """Whether all files have ended."""
    return self.num_joined == len(self.files)

  @property
  def is_done(self) -> bool:
    """Whether all vectors are there."""
    return self.is_joined and not self.num_rests and not self.num_batches

  def join(self) -> int:
    """Takes the rests of files before which no file is open.

    Returns:
      Windows that were thrown away, of files that cannot be used.
    """
    lost = 0
    while not self.is_joined and self.files[self.num_joined].ended:
      file = self.files[self.num_joined]
      self.num_joined += 1
      if file.rest is None:
        continue
      if file.facts is None:
        lost += len(file.rest)
      else:
        self._rests.append((file, file.rest))
        self.num_rests += len(file.rest)
      file.rest = None
    return lost

  def batches(self, size: int) -> Iterator[tuple[Array, Owners]]:
    """Full batches of rests; a smaller one where no more will come."""
    while self.num_rests >= size or (self.is_joined and self.num_rests):
      taken, owners = [], []
      left = size
      while self._rests and left:
        file, rest = self._rests.popleft()
        if len(rest) > left:
          self._rests.appendleft((file, rest[left:]))
        taken.append(rest[:left])
        owners.append((file, len(taken[-1])))
        left -= len(taken[-1])
      self.num_rests -= size - left
      yield np.concatenate(taken), owners


class Batches:
  """Passes windows through a network, which works in a thread of its own."""

  def __init__(
    self,
    network: Callable[[Array], Array],
    *,
    executor: futures.Executor,
    part_sizes: Sequence[int],
    batch_windows: int,
    ahead_windows: int,
  ) -> None:
    """Waits for windows.

    Args:
      network: float32 [windows, frames, bins] to [windows, dim].
      executor: of one thread, which calls the network.
      part_sizes: files of each part; files are numbered through all parts.
      batch_windows: of a full batch, and of a file's pieces but the last.
      ahead_windows: that may wait for files before theirs, about.
    """
    self.num_embedded = 0
    self._network = network
    self._executor = executor
    self._batch_windows = batch_windows
    self._ahead_windows = ahead_windows
    self._sizes = part_sizes
    self._ends = list(itertools.accumulate(part_sizes))
    self._open: dict[int, _Part] = {}
    self._queue: collections.deque[
      tuple[_Part, Owners, futures.Future[Array]]
    ] = collections.deque()
    self._next_part = 0
    self._num_waiting = 0
    self._first_open = 0
    self._ended: set[int] = set()

  def has_room(self, number: int) -> bool:
    """Whether more windows of a file can be taken, of `WindowPool.run`."""
    ahead = self._num_waiting >= self._ahead_windows
    return not ahead or number == self._first_open

  def take(self, event: window_events.Event) -> None:
    """Takes what the pool tells of a file."""
    place = bisect.bisect_right(self._ends, event.number)
    part = self._open.get(place)
    if part is None:
      part = self._open[place] = _Part(self._sizes[place])
    file = part.files[event.number - self._ends[place] + self._sizes[place]]
    if isinstance(event, window_events.Opened):
      file.header = event.header
    elif isinstance(event, window_events.Windows):
      file.start_s.append(event.start_s)
      if len(event.log_mel) == self._batch_windows:
        self._submit(part, event.log_mel, [(file, self._batch_windows)])
      else:
        file.rest = event.log_mel
        self._num_waiting += len(event.log_mel)
    else:
      file.ended, file.facts, file.reason = True, event.facts, event.reason
      self._end(event.number)
      self._num_waiting -= part.join()
      for windows, owners in part.batches(self._batch_windows):
        self._num_waiting -= len(windows)
        self._submit(part, windows, owners)
    while self._queue and self._queue[0][2].done():
      self._receive()

  def finished(self, *, wait: bool) -> Iterator[list[File]]:
    """Files of the next parts, of those whose vectors are all there.

    Args:
      wait: whether to wait for those that the network still has.
    """
    while wait and self._queue:
      self._receive()
    while (part := self._open.get(self._next_part)) and part.is_done:
      del self._open[self._next_part]
      self._next_part += 1
      yield part.files

  def _end(self, number: int) -> None:
    self._ended.add(number)
    while self._first_open in self._ended:
      self._ended.remove(self._first_open)
      self._first_open += 1

  def _submit(self, part: _Part, windows: Array, owners: Owners) -> None:
    while len(self._queue) >= _AT_ONCE:
      self._receive()
    part.num_batches += 1
    future = self._executor.submit(self._network, windows)
    self._queue.append((part, owners, future))

  def _receive(self) -> None:
    """Waits for the oldest batch and gives its vectors to their files."""
    part, owners, future = self._queue.popleft()
    vectors = future.result()
    part.num_batches -= 1
    self.num_embedded += len(vectors)
    start = 0
    for file, count in owners:
      file.vectors.append(vectors[start : start + count])
      start += count
