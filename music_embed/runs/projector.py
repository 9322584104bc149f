"""Embeddings of recordings for TensorBoard's projector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files

_MAX_RECORDINGS = 5_000
_NAME = "validation"
_CONFIG = f"""embeddings {{
  tensor_name: "{_NAME}"
  tensor_path: "{_NAME}_vectors.tsv"
  metadata_path: "{_NAME}_recordings.tsv"
}}
"""


def write(
  folder: str,
  embeddings: npt.NDArray[Any],
  recordings: Sequence[tuple[str, str]],
) -> None:
  """Writes vectors, what they are of, and the projector's configuration.

  Args:
    folder: that TensorBoard reads; created where missing. Files of an earlier
      call are replaced.
    embeddings: [recordings, dim]; at most 5,000 are kept, evenly spread.
    recordings: ids and titles, in the same order; a title may be empty.
  """
  count = min(len(embeddings), _MAX_RECORDINGS)
  kept = np.arange(count) * len(embeddings) // max(count, 1)
  files.make_dirs(folder)
  with files.atomic_write(_path(folder, "vectors"), "w") as file:
    for row in embeddings[kept]:
      file.write("\t".join(f"{value:.6g}" for value in row) + "\n")
  with files.atomic_write(_path(folder, "recordings"), "w") as file:
    file.write("recording\ttitle\n")
    for index in kept:
      file.write("\t".join(_cell(text) for text in recordings[index]) + "\n")
  config = files.join(folder, "projector_config.pbtxt")
  with files.atomic_write(config, "w") as file:
    file.write(_CONFIG)


def _path(folder: str, what: str) -> str:
  return files.join(folder, f"{_NAME}_{what}.tsv")


def _cell(text: str) -> str:
  """One line without tabs; a lone space where there is nothing to say."""
  return " ".join(text.split()) or " "
