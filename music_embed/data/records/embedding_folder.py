"""A folder of embeddings, as `launch/embed.py` writes it.

- `embed.json`: what made the vectors, the parts that count, and counts;
  written last, so a folder without it is unfinished.
- `recordings-NNNNN.parquet`, a row each recording: `id`, `audio` (absolute
  path), `title`, `artist` (may be null), `duration_s`, `windows`, `flags`,
  `vector` (float32 [dim], the plain mean of the windows' unit vectors),
  `labels` and `scores` (most probable first), `size_bytes` and `mtime_ns` of
  the file.
- `windows-NNNNN.parquet`, where windows are kept: `id`, `start_s`, `vector`.
- `embeddings.npz`: `ids` and `vectors` of all recordings, unless it was not
  wanted.
- `rejected.jsonl`: `id`, `audio` and `reason` of each file that could not be
  embedded.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.records import embedded, embedding_parts

SUMMARY_FILE = "embed.json"
NPZ_FILE = "embeddings.npz"
REJECTED_FILE = "rejected.jsonl"
_COLUMNS = (
  "id",
  "audio",
  "title",
  "artist",
  "duration_s",
  "vector",
  "labels",
  "scores",
)


@dataclasses.dataclass(frozen=True)
class RecordingBatch:
  """Some recordings, in the folder's order.

  Attributes:
    ids: of each, once in a folder.
    audio: their files, absolute paths; they may be gone.
    titles: never empty.
    artists: None where unknown.
    durations_s: float64 [n], of the audio that was used.
    labels: of each, most probable first.
    scores: of the labels: mean posteriors over a recording's windows.
    vectors: float32 [n, dim], plain means of unit vectors.
  """

  ids: list[str]
  audio: list[str]
  titles: list[str]
  artists: list[str | None]
  durations_s: npt.NDArray[np.float64]
  labels: list[list[str]]
  scores: list[list[float]]
  vectors: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class WindowBatch:
  """Some windows, in the order of their recordings and of time.

  Attributes:
    ids: of their recordings.
    start_s: float64 [n]: where they begin.
    vectors: float32 [n, dim], unit norm.
  """

  ids: list[str]
  start_s: npt.NDArray[np.float64]
  vectors: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class EmbeddingFolder:
  """A finished folder.

  Attributes:
    directory: of the folder.
    model: directory of the export that made it; it may be gone.
    maker: what decides the vectors.
    size: recordings.
    parts: numbers of its parts, in their order.
    part_sizes: recordings of each.
    next_part: number that no part had yet.
    counts: "recordings", "windows", "rejected", and "audio_s" in seconds.
  """

  directory: str
  model: str
  maker: embedded.Maker
  size: int
  parts: tuple[int, ...]
  part_sizes: tuple[int, ...]
  next_part: int
  counts: dict[str, Any]

  @classmethod
  def open(cls, path: str) -> EmbeddingFolder:
    """Reads `embed.json` alone.

    Args:
      path: of a folder that `launch/embed.py` has finished.

    Raises:
      ConfigError: there is none, it is unfinished, or of another format.
      DataError: `embed.json` is damaged.
    """
    summary = files.join(path, SUMMARY_FILE)
    if not os.path.exists(summary):
      raise _none_here(path)
    value = files.read_json(summary)
    found = value.get("format") if isinstance(value, dict) else None
    if found != embedding_parts.FORMAT:
      raise errors.ConfigError(
        f"{summary}: not embeddings that this version reads"
        f" ({embedding_parts.FORMAT}): embed again into another folder"
      )
    try:
      sizes = [int(part["size"]) for part in value["parts"]]
      return cls(
        directory=path,
        model=str(value["model"]),
        maker=embedded.Maker(**value["maker"]),
        size=sum(sizes),
        parts=tuple(int(part["number"]) for part in value["parts"]),
        part_sizes=tuple(sizes),
        next_part=int(value["next_part"]),
        counts=dict(value["counts"]),
      )
    except (KeyError, TypeError, ValueError) as error:
      raise embedding_parts.damaged(summary, repr(error)) from error

  @property
  def fingerprint(self) -> str:
    """Of the model."""
    return self.maker.fingerprint

  @property
  def dim(self) -> int:
    """Numbers of a vector."""
    return self.maker.dim

  def batches(self) -> Iterator[RecordingBatch]:
    """All recordings, a part at a time; raises DataError."""
    for number, size in zip(self.parts, self.part_sizes, strict=True):
      name = embedding_parts.recordings_file(number)
      path = files.join(self.directory, name)
      table = embedding_parts.read_table(path, _COLUMNS)
      embedding_parts.check(path, table.schema, self.maker)
      if len(table) != size:
        raise embedding_parts.damaged(path, f"{len(table)} rows, not {size}")
      yield RecordingBatch(
        ids=table["id"].to_pylist(),
        audio=table["audio"].to_pylist(),
        titles=table["title"].to_pylist(),
        artists=table["artist"].to_pylist(),
        durations_s=table["duration_s"].to_numpy(),
        labels=table["labels"].to_pylist(),
        scores=table["scores"].to_pylist(),
        vectors=embedding_parts.matrix(path, table["vector"], self.dim),
      )

  def window_batches(self) -> Iterator[WindowBatch]:
    """All windows, a part at a time.

    Raises:
      ConfigError: the folder has none.
      DataError: a part is damaged.
    """
    if self.maker.level != "windows":
      raise errors.ConfigError(
        f"{self.directory}: holds no windows: embed again into another folder"
        " with --level=windows"
      )
    for number in self.parts:
      name = embedding_parts.windows_file(number)
      path = files.join(self.directory, name)
      table = embedding_parts.read_table(path)
      yield WindowBatch(
        ids=table["id"].to_pylist(),
        start_s=table["start_s"].to_numpy(),
        vectors=embedding_parts.matrix(path, table["vector"], self.dim),
      )


def finish(
  directory: str,
  *,
  model: str,
  maker: embedded.Maker,
  parts: Sequence[embedded.Part],
  next_part: int,
  rejected: Sequence[embedded.Rejected],
  npz: bool,
) -> EmbeddingFolder:
  """Writes what stands beside the parts; `embed.json` last.

  Args:
    directory: where the parts lie.
    model: directory of the export.
    maker: of all parts.
    parts: those that count, in their order.
    next_part: number that no part had yet.
    rejected: files that could not be embedded.
    npz: whether to write `embeddings.npz`; an older one is deleted else.

  Returns:
    The folder.
  """
  stored = [row for part in parts for row in part.stored]
  counts = {
    "audio_s": round(sum(row.duration_s for row in stored), 3),
    "recordings": len(stored),
    "rejected": len(rejected),
    "windows": sum(row.windows for row in stored),
  }
  folder = EmbeddingFolder(
    directory=directory,
    model=model,
    maker=maker,
    size=len(stored),
    parts=tuple(part.number for part in parts),
    part_sizes=tuple(len(part.stored) for part in parts),
    next_part=next_part,
    counts=counts,
  )
  path = files.join(directory, REJECTED_FILE)
  with files.atomic_write(path, "w") as file:
    file.writelines(embedding_parts.rejected_lines(rejected))
  npz_path = files.join(directory, NPZ_FILE)
  if npz:
    _write_npz(npz_path, folder, [row.source.id for row in stored])
  elif os.path.exists(npz_path):
    os.unlink(npz_path)
  files.write_json(
    files.join(directory, SUMMARY_FILE),
    {
      "format": embedding_parts.FORMAT,
      "model": model,
      "maker": dataclasses.asdict(maker),
      "counts": counts,
      "next_part": next_part,
      "parts": [
        {"number": number, "size": size}
        for number, size in zip(folder.parts, folder.part_sizes, strict=True)
      ],
    },
  )
  return folder


def _write_npz(path: str, folder: EmbeddingFolder, ids: list[str]) -> None:
  """As `numpy.savez` would, without all vectors in memory."""
  names = np.asarray(ids, dtype=np.str_) if ids else np.zeros(0, "<U1")
  with (
    files.atomic_write(path) as file,
    zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
  ):
    with archive.open("ids.npy", "w", force_zip64=True) as member:
      np.lib.format.write_array(member, names, allow_pickle=False)
    with archive.open("vectors.npy", "w", force_zip64=True) as member:
      header = {
        "descr": "<f4",
        "fortran_order": False,
        "shape": (folder.size, folder.dim),
      }
      np.lib.format.write_array_header_1_0(member, header)
      for batch in folder.batches():
        member.write(batch.vectors.astype("<f4", copy=False).tobytes())


def _none_here(path: str) -> errors.ConfigError:
  """What is wrong with a folder without `embed.json`."""
  if not os.path.isdir(path):
    return errors.ConfigError(f"{path}: no such folder of embeddings")
  if embedding_parts.numbers(path):
    return errors.ConfigError(
      f"{path}: embedding is unfinished here: run launch/embed.py again, which"
      " goes on"
    )
  return errors.ConfigError(
    f"{path}: no embeddings here ({SUMMARY_FILE} is missing): name a folder"
    " that launch/embed.py wrote"
  )
