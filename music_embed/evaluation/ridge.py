"""Ridge regression at several strengths for the price of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import scipy.sparse

from music_embed.evaluation.arrays import Array

T = TypeVar("T")

Linear = Callable[[Array], Array]
"""From `[n, features]` to `[n, outputs]`."""

STRENGTHS = tuple(10.0**power for power in range(-4, 5))
"""Penalties tried, relative to the mean variance of the inputs."""


def fit_path(
  inputs: Array,
  targets: Array | scipy.sparse.csr_matrix,
  strengths: tuple[float, ...] = STRENGTHS,
) -> list[Linear]:
  """Fits one linear map with intercept for each strength.

  Minimises `|(x - mean) w - (y - mean)|^2 + n strength variance |w|^2` by one
  eigendecomposition of the inputs' covariance.

  Args:
    inputs: `[rows, features]`.
    targets: `[rows, outputs]`, dense or sparse.
    strengths: penalties, in units of the inputs' mean variance.

  Returns:
    For each strength a function from `[n, features]` to float64
    `[n, outputs]`.
  """
  mean = inputs.mean(axis=0, dtype=np.float64)
  centred = inputs - mean
  covariance = centred.T @ centred / len(inputs)
  eigenvalues, vectors = np.linalg.eigh(covariance)
  eigenvalues = np.maximum(eigenvalues, 0.0)
  target_mean = np.asarray(targets.mean(axis=0), np.float64).reshape(-1)
  # The inputs are centred, so the targets need not be (and stay sparse).
  product = np.asarray(targets.T @ centred).T / len(inputs)
  rotated = vectors.T @ product
  unit = max(float(eigenvalues.mean()), 1e-12)

  def linear(strength: float) -> Linear:
    shrunk = rotated / (eigenvalues + strength * unit)[:, None]
    weights = vectors @ shrunk
    return lambda x: (x - mean) @ weights + target_mean

  return [linear(strength) for strength in strengths]


def best(
  candidates: Sequence[T], measure: Callable[[T], float]
) -> tuple[int, T]:
  """Picks the candidate with the highest measure.

  Args:
    candidates: anything, at least one.
    measure: higher is better; NaN where it cannot be decided.

  Returns:
    Index and candidate; the middle one where no measure is decided.
  """
  values = np.array([measure(candidate) for candidate in candidates])
  if np.isnan(values).all():
    index = len(candidates) // 2
  else:
    index = int(np.nanargmax(values))
  return index, candidates[index]
