"""Whether an exported file says what the SavedModel says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors
from music_embed.export import check_sounds, convert, quiet, run_formats

MIN_COSINE = 0.999
"""Between vectors of two formats that compute in float32."""

_VECTORS = (
  *("window_embeddings", "recording_embedding"),
  *("z_scored_embedding", "cf_vector"),
)


class Reference:
  """What the SavedModel says of some sounds."""

  def __init__(self, run: run_formats.Run, sounds: check_sounds.Sounds) -> None:
    """Asks the SavedModel.

    Args:
      run: of `run_formats.saved_model`.
      sounds: to ask about.
    """
    self._sounds = sounds
    self._expected = [run(waveform) for waveform in sounds.waveforms]

  def to_json(self) -> dict[str, Any]:
    """What a model card says of the sounds.

    Returns:
      Besides what they are, `cosine_of_other_windows`: the mean over pairs of
      different windows. The nearer it is to 1, the less it says that two
      formats agree.
    """
    rows = np.concatenate([x["window_embeddings"] for x in self._expected])
    rows = rows.astype(np.float64)
    count = len(rows)
    others = (np.square(rows.sum(0)).sum() - np.square(rows).sum()) / max(
      count * (count - 1), 1
    )
    return self._sounds.to_json() | {
      "windows": count,
      "cosine_of_other_windows": _rounded(others),
    }

  def compare(self, run: run_formats.Run) -> dict[str, Any]:
    """Compares a format with the SavedModel.

    Args:
      run: of the format.

    Returns:
      By output that is a vector the least cosine, and the mean one;
      `label_scores_max_difference` where there is a label head.

    Raises:
      DataError: outputs are missing, of other shapes, or not finite.
    """
    found = [self._outputs(run, place) for place in range(len(self._expected))]
    pairs = list(zip(found, self._expected, strict=True))
    result: dict[str, Any] = {}
    for name in _VECTORS:
      if name in self._expected[0]:
        cosines = np.concatenate([_cosines(a[name], b[name]) for a, b in pairs])
        result[name] = {
          "min_cosine": _rounded(cosines.min()),
          "mean_cosine": _rounded(cosines.mean()),
        }
    if "label_scores" in self._expected[0]:
      result["label_scores_max_difference"] = _rounded(
        max(
          np.abs(a["label_scores"] - b["label_scores"]).max() for a, b in pairs
        )
      )
    return result

  def _outputs(self, run: run_formats.Run, place: int) -> run_formats.Outputs:
    """A format's outputs for one sound, checked."""
    found = run(self._sounds.waveforms[place])
    for name, expected in self._expected[place].items():
      if name not in found or found[name].shape != expected.shape:
        raise errors.DataError(f"output {name} is missing or of another shape")
      if not np.isfinite(found[name]).all():
        raise errors.DataError(f"output {name} is not finite")
    return found


def compare(reference: Reference, name: str, content: bytes) -> dict[str, Any]:
  """Compares an exported file with the SavedModel, and insists on likeness.

  Args:
    reference: the SavedModel's outputs.
    name: of the format, as in `convert.FILES`.
    content: of the file.

  Returns:
    As `Reference.compare`.

  Raises:
    DataError: a vector of a float32 format is unlike the SavedModel's, or the
      file cannot be run.
  """
  file = convert.FILES[name]
  try:
    runner = run_formats.onnx if name == "onnx" else run_formats.tflite
    with quiet.quiet():
      compared = reference.compare(runner(content))
  except errors.DataError as error:
    raise errors.DataError(f"{file}: {error}") from error
  except Exception as error:
    reason = " ".join(str(error).split())[:300]
    raise errors.DataError(
      f"{file}: cannot be run ({type(error).__name__}: {reason}): leave"
      f" {name} out of --formats"
    ) from error
  least = min(v["min_cosine"] for v in compared.values() if isinstance(v, dict))
  if name not in convert.INEXACT and least < MIN_COSINE:
    raise errors.DataError(
      f"{file}: a vector has a cosine of {least:.6f} with the SavedModel's,"
      f" where {MIN_COSINE} is asked for: leave {name} out of --formats"
    )
  return compared


def _cosines(
  found: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
  """Of rows, [rows]; 1 where both are zero."""
  a = np.atleast_2d(found).astype(np.float64)
  b = np.atleast_2d(expected).astype(np.float64)
  norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
  same = (a == b).all(axis=1)
  return np.where(same, 1.0, (a * b).sum(1) / np.maximum(norms, 1e-30))


def _rounded(value: float) -> float:
  return round(float(value), 7)
