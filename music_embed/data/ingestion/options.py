"""Everything that shapes a dataset besides its inputs."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from music_embed.audio import log_mel
from music_embed.core import errors, files, types
from music_embed.data.corpora import listening, tables
from music_embed.data.mining import sanitize, splits, vocabulary
from music_embed.data.records import manifest


@dataclasses.dataclass(frozen=True)
class IngestionOptions:
  """How recordings become records.

  Attributes:
    max_duration_s: audio after this time is not used.
    min_music_share: recordings with a smaller `music_share` are left out.
    time_limit_s: wall-clock time after which decoding of a file is given up.
    recordings_per_shard: recordings planned for a shard.
    vertices_per_shard: recordings whose edges share a graph shard.
    max_broken_share: share of the listening log's rows that may be unusable.
  """

  max_duration_s: float = 600.0
  min_music_share: float = 0.5
  time_limit_s: float = 300.0
  recordings_per_shard: int = 256
  vertices_per_shard: int = 100_000
  max_broken_share: float = 0.05

  def __post_init__(self) -> None:
    for name in (
      "max_duration_s",
      "time_limit_s",
      "recordings_per_shard",
      "vertices_per_shard",
    ):
      if getattr(self, name) <= 0:
        raise errors.ConfigError(f"IngestionOptions.{name} must be positive")


@dataclasses.dataclass(frozen=True)
class DatasetOptions:
  """The options of all parts.

  Attributes:
    front_end: what a row of a recording is.
    quantization: how its values are stored, resolved.
    ingestion: how recordings become records.
    splits: training, validation and evaluation.
    vocabulary: which n-grams become labels.
    graph: how the co-listen graph is mined.
    seed: of splits, order and caps.
  """

  front_end: types.FrontEnd
  quantization: types.Quantization
  ingestion: IngestionOptions
  splits: splits.SplitOptions
  vocabulary: vocabulary.VocabularyOptions
  graph: sanitize.GraphOptions
  seed: int

  def __post_init__(self) -> None:
    if not isinstance(self.front_end, types.LogMelFrontEnd):
      return
    empty = np.count_nonzero(~log_mel.mel_matrix(self.front_end).any(axis=0))
    if empty:
      raise errors.ConfigError(
        f"LogMelFrontEnd: {empty} of {self.front_end.num_bins} mel bins are"
        " narrower than an FFT bin and would hold nothing: raise fft_length"
      )


def describe_request(
  *, recordings: str, listening_log: str, options: DatasetOptions
) -> dict[str, Any]:
  """What decides a dataset's bytes (audio files apart), as JSON values.

  Args:
    recordings: the recordings table.
    listening_log: the listening log, a file, folder or glob pattern.
    options: all options.

  Returns:
    The fields of the manifest that are known before any work is done.

  Raises:
    DataError: a table is missing, or of no known format.
  """
  values = dataclasses.asdict(options)
  del values["front_end"], values["quantization"]
  # Younger than the others: datasets from before it are still the same.
  if options.vocabulary.max_document_share == 1.0:
    del values["vocabulary"]["max_document_share"]
  return {
    "schema_version": manifest.SCHEMA_VERSION,
    "seed": values.pop("seed"),
    "front_end": options.front_end.to_json(),
    "quantization": options.quantization.to_json(),
    "options": values,
    "inputs": {
      "recordings": _describe(recordings),
      "listening_log": _describe_parts(listening.log_files(listening_log)),
    },
  }


def _describe(path: str) -> dict[str, Any]:
  kind = tables.table_format(path)
  try:
    return {"format": kind, "sha256": files.sha256(path)}
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except OSError as error:
    raise errors.DataError(f"{path}: cannot be read ({error})") from error


def _describe_parts(paths: list[str]) -> dict[str, Any]:
  parts = [_describe(path) for path in paths]
  if len(parts) == 1:
    return parts[0]
  sums = "\n".join(part["sha256"] for part in parts)
  return {
    "format": ",".join(sorted({part["format"] for part in parts})),
    "sha256": hashlib.sha256(sums.encode()).hexdigest(),
    "files": len(parts),
  }
