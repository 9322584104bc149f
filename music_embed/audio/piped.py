"""Files given to a library that reads a pipe to its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from typing import BinaryIO

_PIECE_BYTES = 1 << 18


@contextlib.contextmanager
def reading_end(file: BinaryIO) -> Iterator[int]:
  """A pipe through which the rest of a file comes.

  Args:
    file: open where the pipe is to begin. Not to be used meanwhile.

  Yields:
    A file descriptor; it is closed at the end, and need not be read to its.
  """
  read_end, write_end = os.pipe()
  feeder = threading.Thread(target=_feed, args=(file, write_end), daemon=True)
  feeder.start()
  try:
    yield read_end
  finally:
    os.close(read_end)  # A feeder that waits for a reader goes on, and ends.
    feeder.join()


def _feed(file: BinaryIO, write_end: int) -> None:
  """Copies until the file, or the reader, has ended."""
  with (
    contextlib.suppress(BrokenPipeError),
    os.fdopen(write_end, "wb") as pipe,
  ):
    shutil.copyfileobj(file, pipe, _PIECE_BYTES)
