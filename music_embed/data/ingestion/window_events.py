"""What a pool of window workers tells of the files that it is given."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from music_embed.audio import streaming


@dataclasses.dataclass(frozen=True)
class Header:
  """What a file says of itself; nothing of it is sure.

  Attributes:
    length_s: zero where unknown.
    title: empty where unknown.
    artist: empty where unknown.
  """

  length_s: float = 0.0
  title: str = ""
  artist: str = ""


@dataclasses.dataclass(frozen=True)
class Opened:
  """Work on a file began.

  Attributes:
    number: of the file, from 0.
    header: of the file.
  """

  number: int
  header: Header


@dataclasses.dataclass(frozen=True)
class Windows:
  """The next windows of a file.

  Attributes:
    number: of the file.
    log_mel: float32 [windows, frames, bins]; read-only.
    start_s: float64 [windows].
  """

  number: int
  log_mel: npt.NDArray[np.float32]
  start_s: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Ended:
  """A file is done, or cannot be used: then windows that came are void.

  Attributes:
    number: of the file.
    facts: what was found out; None where it cannot be used.
    reason: why it cannot.
  """

  number: int
  facts: streaming.WindowFacts | None
  reason: str = ""


Event = Opened | Windows | Ended
