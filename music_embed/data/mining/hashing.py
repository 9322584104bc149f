"""Keyed 64-bit hashes: order that depends on ids and seed alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt


def hash64(seed: int, stream: str, text: str) -> int:
  """An unsigned 64-bit integer that depends on the arguments alone."""
  data = f"{seed}/{stream}/{text}".encode("utf-8", "surrogateescape")
  return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def mix(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """The finaliser of SplitMix64 (Steele et al. 2014), uint64 [...].

  A bijection that scatters similar values.
  """
  values = values + np.uint64(0x9E3779B97F4A7C15)
  values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return values ^ (values >> np.uint64(31))
