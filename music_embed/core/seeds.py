"""Counter-based random numbers: batch s is a pure function of (seed, s)."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, stream: str, step: int = 0) -> np.random.Generator:
  """A generator keyed by seed, stream name and step.

  Args:
    seed: the run's seed, any non-negative integer.
    stream: name of the consumer; different names never share numbers.
    step: position in the stream.

  Returns:
    A numpy Generator on Philox; the same arguments give the same numbers on
    every machine.
  """
  digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
  key = np.frombuffer(digest[:16], dtype="<u8")
  return np.random.Generator(
    np.random.Philox(key=key, counter=np.array([0, 0, 0, step], np.uint64))
  )


def hash_unit(seed: int, stream: str, text: str) -> float:
  """A number in [0, 1) that depends on the arguments alone."""
  digest = hashlib.sha256(f"{seed}/{stream}/{text}".encode()).digest()
  return int.from_bytes(digest[:8], "little") / 2.0**64
