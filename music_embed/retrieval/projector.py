"""Embeddings of recordings for TensorBoard's projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files

MOST_RECORDINGS = 5_000
"""That a run keeps of its validation; the projector itself takes more."""


def write(
  folder: str,
  embeddings: npt.NDArray[Any],
  columns: Mapping[str, Sequence[str]],
  *,
  name: str = "validation",
  most: int = MOST_RECORDINGS,
) -> int:
  """Writes vectors, what they are of, and the projector's configuration.

  Args:
    folder: that TensorBoard reads; created where missing. Files of an earlier
      call with this name are replaced.
    embeddings: [recordings, dim].
    columns: at least two, by name, of what is said about each recording, in
      the same order; a text may be empty.
    name: of the embedding, and the start of its files' names.
    most: recordings that are kept, evenly spread over all.

  Returns:
    The number of those that were kept.
  """
  count = min(len(embeddings), most)
  kept = np.arange(count) * len(embeddings) // max(count, 1)
  files.make_dirs(folder)
  vectors, recordings = f"{name}_vectors.tsv", f"{name}_recordings.tsv"
  with files.atomic_write(files.join(folder, vectors), "w") as file:
    for index in kept:
      row = embeddings[index]
      file.write("\t".join(f"{value:.6g}" for value in row) + "\n")
  with files.atomic_write(files.join(folder, recordings), "w") as file:
    file.write("\t".join(columns) + "\n")
    for index in kept:
      cells = (_cell(column[index]) for column in columns.values())
      file.write("\t".join(cells) + "\n")
  config = files.join(folder, "projector_config.pbtxt")
  with files.atomic_write(config, "w") as file:
    file.write(_config(name, vectors, recordings))
  return count


def _config(name: str, vectors: str, recordings: str) -> str:
  return f"""embeddings {{
  tensor_name: "{name}"
  tensor_path: "{vectors}"
  metadata_path: "{recordings}"
}}
"""


def _cell(text: str) -> str:
  """One line without tabs; a lone space where there is nothing to say."""
  return " ".join(text.split()) or " "
