"""Log-mel windows of recordings of any length, in bounded memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from music_embed.audio import file_stream, log_mel, mono, windows
from music_embed.core import errors, types

Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class WindowChunk:
  """Windows of a recording that follow one another.

  Attributes:
    log_mel: float32 [windows, frames, bins].
    start_s: where they begin, float64 [windows].
  """

  log_mel: Array
  start_s: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class WindowFacts(mono.Facts):
  """What was found out about a recording, and its windows.

  Attributes:
    num_windows: at least one.
    short: shorter than a window, and filled up with silence.
  """

  num_windows: int
  short: bool


class WindowStream:
  """The network's windows of a recording, read once, from its beginning.

  They are those of `audio.windows.window_starts` over the whole recording's
  log-mels, to the last bit, while only a few chunks are held.
  """

  def __init__(
    self,
    waveform: mono.Stream,
    front_end: types.LogMelFrontEnd,
    *,
    chunk_windows: int = 64,
  ) -> None:
    """Makes the stream; nothing is decoded yet.

    Args:
      waveform: at the front end's rate.
      front_end: what a frame is, and how many a window has.
      chunk_windows: windows of every chunk but the last.
    """
    self._waveform = waveform
    self._front_end = front_end
    self._chunk_windows = chunk_windows
    self._facts: WindowFacts | None = None

  @property
  def name(self) -> str:
    """What errors call the recording."""
    return self._waveform.name

  @property
  def facts(self) -> WindowFacts:
    """Of the recording.

    Raises:
      RuntimeError: it was not read to its end.
    """
    if self._facts is None:
      raise RuntimeError(f"{self.name}: was not read to its end")
    return self._facts

  def __iter__(self) -> Iterator[WindowChunk]:
    """Yields the chunks.

    Raises:
      AudioError: the recording cannot be used: not decodable, or shorter than
        a frame; chunks may have come before.
    """
    window = self._front_end.window_rows
    chunk_rows = self._chunk_windows * window
    before = pending = np.zeros((0, *self._front_end.row_shape), np.float32)
    gathered: list[Array] = []
    num_given = num_pending = 0
    for rows in log_mel_rows(self._waveform, self._front_end):
      gathered.append(rows)
      num_pending += len(rows)
      if num_pending < chunk_rows:
        continue
      pending = np.concatenate(gathered)
      while len(pending) >= chunk_rows:
        chunk, pending = pending[:chunk_rows], pending[chunk_rows:]
        yield self._chunk(chunk, np.arange(0, chunk_rows, window), num_given)
        before = chunk[-window:]
        num_given += chunk_rows
      gathered, num_pending = [pending], len(pending)
    num_rows = num_given + num_pending
    if not num_rows:
      raise errors.AudioError(f"{self.name}: shorter than one frame")
    starts = windows.window_starts(num_rows, window)
    left = starts[num_given // window :] - (num_given - len(before))
    if len(left):
      last = np.concatenate([before, *gathered])
      padded = windows.pad_to_window(last, self._front_end)
      yield self._chunk(padded, left, num_given - len(before))
    self._facts = WindowFacts(
      **dataclasses.asdict(self._waveform.facts),
      num_windows=len(starts),
      short=num_rows < window,
    )

  def _chunk(
    self, rows: Array, starts: npt.NDArray[np.int64], first: int
  ) -> WindowChunk:
    """Windows that begin at rows `starts`; row 0 is the recording's `first`."""
    front_end = self._front_end
    hop_s = front_end.hop_samples / front_end.sample_rate_hz
    window = front_end.window_rows
    return WindowChunk(
      log_mel=np.stack([rows[start : start + window] for start in starts]),
      start_s=(starts + first) * hop_s,
    )


def log_mel_windows(
  path: str,
  front_end: types.LogMelFrontEnd,
  *,
  max_s: float | None = None,
  chunk_windows: int = 64,
) -> WindowStream:
  """The network's windows of an audio file of any length.

  Args:
    path: a local audio file.
    front_end: what a frame is, and how many a window has.
    max_s: audio after this time is not read; None reads all.
    chunk_windows: windows of every chunk but the last.

  Returns:
    A stream of chunks, with `facts` at its end.

  Raises:
    AudioError: there is no such file, or it is empty.
  """
  waveform = file_stream.FileStream(
    path, sample_rate_hz=front_end.sample_rate_hz, max_s=max_s
  )
  return WindowStream(waveform, front_end, chunk_windows=chunk_windows)


def log_mel_rows(
  pieces: Iterable[Array], front_end: types.LogMelFrontEnd
) -> Iterator[Array]:
  """Log-mels of a waveform that comes in pieces.

  Args:
    pieces: float32 [samples] each, of any size.
    front_end: the parameters.

  Yields:
    float32 [frames, bins]; joined, they are `log_mel.log_mel` of the joined
    pieces.
  """
  hop = front_end.hop_samples
  pending = np.zeros(0, np.float32)
  for piece in pieces:
    pending = np.concatenate([pending, piece])
    ready = min(front_end.num_rows(len(pending)), len(pending) // hop)
    ready -= ready % log_mel.CHUNK_FRAMES
    if ready:
      yield log_mel.log_mel(pending[: front_end.num_samples(ready)], front_end)
      pending = pending[ready * hop :]
  yield log_mel.log_mel(pending, front_end)
