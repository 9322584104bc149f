"""Windows of several recordings through a network, in bounded memory."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from music_embed.audio import streaming

Array = npt.NDArray[np.float32]


class Windows(NamedTuple):
  """Windows of a recording that follow one another.

  Attributes:
    start_s: where they begin, float64 [windows].
    vectors: of unit norm, float32 [windows, dim].
  """

  start_s: npt.NDArray[np.float64]
  vectors: Array


def embedded(
  streams: Iterable[streaming.WindowStream],
  embed_log_mel: Callable[[Array], Array],
  *,
  batch_windows: int,
) -> Iterator[tuple[int, Windows]]:
  """Embeds recordings; the network sees windows of several at once.

  A file that is damaged, or shorter than its header says, is used as far as
  it can be read, with a warning.

  Args:
    streams: the recordings.
    embed_log_mel: float32 [windows, frames, bins] to [windows, dim].
    batch_windows: windows that are gathered before the network runs.

  Yields:
    (recording, its next windows), in order.

  Raises:
    AudioError: a recording cannot be used.
  """
  pending: list[tuple[int, streaming.WindowChunk]] = []
  num_pending = 0
  for recording, stream in enumerate(streams):
    for chunk in stream:
      pending.append((recording, chunk))
      num_pending += len(chunk.start_s)
      if num_pending >= batch_windows:
        yield from _embedded(pending, embed_log_mel)
        pending, num_pending = [], 0
    if stream.facts.truncated:
      warnings.warn(
        f"{stream.name}: damaged or cut: the first"
        f" {stream.facts.duration_s:.1f} s are used",
        stacklevel=2,
      )
  if pending:
    yield from _embedded(pending, embed_log_mel)


def by_recording(
  parts: Iterable[tuple[int, Windows]],
) -> Iterator[Windows]:
  """Joins the parts of each recording."""
  for _, group in itertools.groupby(parts, key=lambda part: part[0]):
    starts, vectors = zip(*(windows for _, windows in group), strict=True)
    yield Windows(np.concatenate(starts), np.concatenate(vectors))


def means(parts: Iterable[tuple[int, Windows]], dim: int) -> Array:
  """Plain means of the vectors of each recording, float32 [recordings, dim].

  Sums are taken in float64, and no window's vector is kept.
  """
  found = [np.zeros((0, dim), np.float32)]
  for _, group in itertools.groupby(parts, key=lambda part: part[0]):
    total, count = np.zeros(dim), 0
    for _, windows in group:
      total += windows.vectors.sum(0, np.float64)
      count += len(windows.vectors)
    found.append((total / count).astype(np.float32)[np.newaxis])
  return np.concatenate(found)


def _embedded(
  pending: list[tuple[int, streaming.WindowChunk]],
  embed_log_mel: Callable[[Array], Array],
) -> Iterator[tuple[int, Windows]]:
  vectors = embed_log_mel(np.concatenate([c.log_mel for _, c in pending]))
  first = 0
  for recording, chunk in pending:
    last = first + len(chunk.start_s)
    yield recording, Windows(chunk.start_s, vectors[first:last])
    first = last
