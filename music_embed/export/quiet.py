"""Silence from libraries that write to standard error by themselves."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Nothing on standard error: converters in C++ heed no level of logging."""
  previous = logging.root.manager.disable
  logging.disable(logging.WARNING)
  sys.stderr.flush()
  kept = os.dup(2)
  try:
    with open(os.devnull, "wb") as nothing:
      os.dup2(nothing.fileno(), 2)
    yield
  finally:
    sys.stderr.flush()
    os.dup2(kept, 2)
    os.close(kept)
    logging.disable(previous)
