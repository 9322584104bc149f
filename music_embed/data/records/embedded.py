"""What an embedding folder says of a recording, and of a file without one."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

LEVELS = ("recordings", "windows")


@dataclasses.dataclass(frozen=True)
class Maker:
  """What decides the vectors of a folder, besides the audio.

  Attributes:
    fingerprint: of the model.
    dim: numbers of a vector.
    level: of `LEVELS`: whether windows are kept, too.
    labels: labels kept of each recording, at most.
    max_duration_s: audio after this time was not used; None: all was.
  """

  fingerprint: str
  dim: int
  level: str = LEVELS[0]
  labels: int = 0
  max_duration_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Source:
  """A file as it was when it was found.

  Attributes:
    id: of the recording.
    audio: the file, absolute.
    size_bytes: of the file.
    mtime_ns: when it was last changed, in nanoseconds.
  """

  id: str
  audio: str
  size_bytes: int
  mtime_ns: int


@dataclasses.dataclass(frozen=True)
class Embedded:
  """What became of a recording.

  Attributes:
    source: its file.
    title: never empty.
    artist: None where unknown.
    duration_s: of the audio that was used.
    flags: of `records.schema`.
    vector: float32 [dim]: the plain mean over its windows' unit vectors.
    start_s: float64 [windows]: where its windows begin.
    window_vectors: float32 [windows, dim].
    labels: most probable first; none without a label head.
    scores: their mean posteriors over the windows.
  """

  source: Source
  title: str
  artist: str | None
  duration_s: float
  flags: tuple[str, ...]
  vector: npt.NDArray[np.float32]
  start_s: npt.NDArray[np.float64]
  window_vectors: npt.NDArray[np.float32]
  labels: tuple[str, ...] = ()
  scores: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rejected:
  """A file that could not be embedded, and why not."""

  source: Source
  reason: str


@dataclasses.dataclass(frozen=True)
class Stored:
  """A row of a part, without its vector."""

  source: Source
  title: str
  artist: str | None
  duration_s: float
  windows: int


@dataclasses.dataclass(frozen=True)
class Part:
  """A part that lies on disk, without its vectors.

  Attributes:
    number: in its name.
    maker: what made it.
    stored: its rows, in order.
    rejected: files of it that could not be embedded.
  """

  number: int
  maker: Maker
  stored: tuple[Stored, ...]
  rejected: tuple[Rejected, ...]
