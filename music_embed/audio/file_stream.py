"""Audio files of any kind as mono waveforms, in pieces of bounded size."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import threading
from collections.abc import Generator, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from music_embed.audio import headers, mono, piped
from music_embed.core import errors

BLOCK_SAMPLES = 1 << 17
"""Samples (of all channels) read at once: they stay in a core's cache."""

_RESCUE_SAMPLES = 1 << 15
"""Read at once from a damaged file, to lose little where it breaks off."""

_NO_MPEG_AUDIO = 7
"""libsndfile's code for a regular file named .mp3 without a frame in it, of
which its own text says that there is no such file."""

_OPENING = threading.Lock()

_Pieces = Generator[npt.NDArray[np.float32], None, bool]


class FileStream:
  """The mono waveform of a wav, flac, ogg, mp3 ... file, read once.

  Where a file is damaged, what precedes the damage is given.
  """

  def __init__(
    self,
    path: str,
    *,
    sample_rate_hz: int,
    max_s: float | None = None,
    content: bytes | None = None,
  ) -> None:
    """Makes the stream; nothing is decoded yet.

    Args:
      path: a local audio file; with `content`, what errors call it.
      sample_rate_hz: rate of the waveform.
      max_s: audio after this time is not read; None reads all.
      content: the file's bytes, where it is not on a disk.

    Raises:
      AudioError: there is no such file, or it is empty.
    """
    if content is None and not os.path.isfile(path):
      what = "a folder, not a file" if os.path.isdir(path) else "no such file"
      raise errors.AudioError(f"{path}: {what}")
    size = os.path.getsize(path) if content is None else len(content)
    if not size:
      raise errors.AudioError(f"{path}: the file is empty")
    self._source = _Source(path, content)
    self._sample_rate_hz = sample_rate_hz
    self._max_s = max_s
    self._facts: mono.Facts | None = None

  @property
  def name(self) -> str:
    """What errors call the file."""
    return self._source.name

  @property
  def facts(self) -> mono.Facts:
    """Of the file.

    Raises:
      RuntimeError: it was not read to its end.
    """
    if self._facts is None:
      raise RuntimeError(f"{self.name}: was not read to its end")
    return self._facts

  def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
    """Yields pieces of the waveform, float32 [samples], full scale 1.

    Raises:
      AudioError: it is no audio that libsndfile can read, holds no samples,
        or holds samples that are not finite; pieces may have come before.
    """
    try:
      yield from self._pieces()
    except soundfile.LibsndfileError as error:
      reason = error.error_string or "damaged"
      if error.code == _NO_MPEG_AUDIO:
        reason = "no MPEG audio was found in it"
      raise errors.AudioError(
        f"{self.name}: not an audio file that can be read ({reason})"
      ) from error

  def _pieces(self) -> Iterator[npt.NDArray[np.float32]]:
    source, max_s = self._source, self._max_s
    with _opened(source) as file:
      limit = None if max_s is None else round(max_s * file.samplerate)
      mix = mono.Mix(self.name, file.samplerate, self._sample_rate_hz)
      damaged = yield from _read(file, mix, limit, BLOCK_SAMPLES)
      if damaged:  # In smaller steps; seeking back may fail.
        with _opened(source) as again:
          yield from _read(again, mix, limit, _RESCUE_SAMPLES)
      reached_end = limit is None or mix.num_read < limit
      truncated = damaged or (
        reached_end and _is_cut(source, file, mix.num_read)
      )
      yield mix.finish()
      self._facts = mix.facts(file.channels, truncated=truncated)


@dataclasses.dataclass(frozen=True)
class _Source:
  """A file by its path, or one that is held in memory."""

  name: str
  content: bytes | None

  def for_soundfile(self) -> str | BinaryIO:
    """The path where there is one: libsndfile then reads by itself."""
    return self.name if self.content is None else io.BytesIO(self.content)

  def open(self) -> BinaryIO:
    """From its beginning."""
    if self.content is None:
      return open(self.name, "rb")
    return io.BytesIO(self.content)


class _SequentialFile(soundfile.SoundFile):
  """A file that is read from its beginning to its end.

  soundfile seeks after every read of a file that can seek, and an MP3 decoder
  loses its bit reservoir by that: small reads would give glitches.

  Opened by one thread at a time: why opening failed is one value for all of
  libsndfile, and would be another thread's reason.
  """

  def __init__(self, file: str | int | BinaryIO) -> None:
    with _OPENING:
      super().__init__(file, closefd=False)

  def seekable(self) -> bool:
    return False


@contextlib.contextmanager
def _opened(source: _Source) -> Iterator[_SequentialFile]:
  """The file, ready to be read from its beginning to its end.

  Of an MP3 that does not state its length libsndfile reads no more than it
  guesses from the first frame's bit rate, a third of it perhaps; it guesses
  nothing of a pipe.
  """
  with contextlib.ExitStack() as stack:
    file = stack.enter_context(_SequentialFile(source.for_soundfile()))
    if file.format == "MP3":
      raw = stack.enter_context(source.open())
      if not headers.states_mp3_length(raw):
        headers.skip_tags(raw)  # libsndfile skips no long ones in a pipe.
        pipe = stack.enter_context(piped.reading_end(raw))
        with contextlib.suppress(soundfile.LibsndfileError):
          file = stack.enter_context(_SequentialFile(pipe))
    yield file


def _read(
  file: soundfile.SoundFile,
  mix: mono.Mix,
  limit: int | None,
  block_samples: int,
) -> _Pieces:
  """Reads a file that is at its beginning, up to `limit` sample frames.

  What the mix has taken of it already is passed over.

  Yields:
    Pieces of the waveform.

  Returns:
    Whether a damaged part ended reading; what precedes it was read, but for
    the block that it lies in.
  """
  num_frames = max(1, block_samples // file.channels)
  buffer = np.empty((num_frames, file.channels), np.float32)
  position = 0
  while limit is None or position < limit:
    wanted = num_frames
    if limit is not None:
      wanted = min(wanted, limit - position)
    try:
      block = file.read(wanted, out=buffer)
    except soundfile.LibsndfileError:
      return True
    if not len(block):
      break
    new = block[max(0, mix.num_read - position) :]
    position += len(block)
    if len(new):
      yield mix.add(new)
  return False


def _is_cut(source: _Source, file: soundfile.SoundFile, num_read: int) -> bool:
  with source.open() as raw:
    return headers.missing_audio(
      raw,
      file_format=file.format,
      num_frames=file.frames,
      num_read=num_read,
      rate_hz=file.samplerate,
    )
