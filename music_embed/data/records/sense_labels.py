"""Labels split by sense on disk, and a dataset seen through them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.mining import senses
from music_embed.data.records import label_names, prepared, writer

FILE_NAME = "senses.json"
"""What the senses are and were made from; written last."""

FORMAT = "sense_labels"
VERSION = 1

_ARRAYS = ("indptr", "indices", "plain", "cluster", "recording_cluster")


class SenseLabels:
  """What `launch/senses.py` wrote.

  Attributes:
    directory: where it lies.
    metadata: contents of `senses.json`.
    fingerprint: SHA-256 of `senses.json`, which holds those of the files.
    plain_vocabulary: the dataset's labels, most frequent first.
    indptr: int64 [recordings + 1], rows of `indices`.
    indices: int32 [occurrences], labels of each recording, sorted.
    plain: int32 [labels], index in the plain vocabulary of what a label is a
      sense of, or of itself.
    cluster: int32 [labels], its cluster, -1 where it is not split.
    recording_cluster: int32 [recordings], -1 without a vertex.
  """

  indptr: npt.NDArray[Any]
  indices: npt.NDArray[Any]
  plain: npt.NDArray[Any]
  cluster: npt.NDArray[Any]
  recording_cluster: npt.NDArray[Any]

  def __init__(self, directory: str, data: prepared.PreparedDataset) -> None:
    """Opens sense labels.

    Args:
      directory: where they lie, locally.
      data: the dataset that they were made from.

    Raises:
      ConfigError: they are missing, or of another dataset.
      DataError: a file is missing or damaged.
    """
    self.directory = directory
    path = files.join(directory, FILE_NAME)
    if not files.exists(path):
      raise errors.ConfigError(
        f"{directory} holds no sense labels (no {FILE_NAME}): run"
        " launch/senses.py, again if it was interrupted"
      )
    self.metadata: Mapping[str, Any] = files.read_json(path)
    _check(path, self.metadata, data)
    _check_files(directory, self.metadata)
    self.fingerprint = files.sha256(path)
    self.plain_vocabulary = data.vocabulary
    for name in _ARRAYS:
      array_path = files.join(directory, f"{name}.npy")
      setattr(self, name, np.load(array_path, mmap_mode="r").view(np.ndarray))

  @classmethod
  def load(cls, directory: str, data: prepared.PreparedDataset) -> SenseLabels:
    """Opens sense labels; see `__init__`."""
    return cls(directory, data)

  def relabel(self, data: prepared.PreparedDataset) -> RelabelledDataset:
    """The dataset with these labels."""
    return RelabelledDataset(data.directory, self)

  @property
  def num_clusters(self) -> int:
    """k, into how many clusters the recordings were parted."""
    return int(self.metadata["num_clusters"])

  @functools.cached_property
  def vocabulary_lines(self) -> list[list[str]]:
    """Label and count of each, most frequent first."""
    path = files.join(self.directory, writer.VOCABULARY_FILE)
    text = files.read_bytes(path).decode()
    return [line.split("\t") for line in text.split("\n")[:-1]]


class RelabelledDataset(prepared.PreparedDataset):
  """A dataset whose labels are senses; all else is the dataset's own.

  Attributes:
    sense_labels: the senses.
  """

  def __init__(self, directory: str, sense_labels: SenseLabels) -> None:
    """Opens the dataset; raises as `PreparedDataset`."""
    super().__init__(directory)
    self.sense_labels = sense_labels

  @property
  def _vocabulary_lines(self) -> list[list[str]]:
    return self.sense_labels.vocabulary_lines

  @property
  def labels_csr(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(indptr int64 [recordings + 1], sense ids int32 [entries])."""
    return self.sense_labels.indptr, self.sense_labels.indices


def relabel(
  data: prepared.PreparedDataset, directory: str
) -> RelabelledDataset:
  """A dataset seen through the sense labels in a directory.

  Raises:
    ConfigError: they are missing, or of another dataset.
    DataError: a file is missing or damaged.
  """
  return SenseLabels.load(directory, data).relabel(data)


def is_written(directory: str) -> bool:
  """Whether a directory holds finished sense labels."""
  return files.exists(files.join(directory, FILE_NAME))


def write(
  directory: str,
  split: senses.SplitLabels,
  recording_cluster: npt.NDArray[Any],
  data: prepared.PreparedDataset,
  metadata: Mapping[str, Any],
) -> None:
  """Writes sense labels, `senses.json` last.

  Args:
    directory: created where missing.
    split: the labels.
    recording_cluster: int32 [recordings], -1 without a vertex.
    data: what they were made from.
    metadata: what else `senses.json` shall say, JSON.
  """
  files.make_dirs(directory)
  path = files.join(directory, FILE_NAME)
  if files.exists(path):
    os.unlink(path)  # It would describe other files from now on.
  arrays: dict[str, npt.NDArray[Any]] = {
    "indptr": np.asarray(split.indptr, np.int64),
    "indices": np.asarray(split.indices, np.int32),
    "plain": np.asarray(split.plain, np.int32),
    "cluster": np.asarray(split.cluster, np.int32),
    "recording_cluster": np.asarray(recording_cluster, np.int32),
  }
  for name, array in arrays.items():
    with files.atomic_write(files.join(directory, f"{name}.npy")) as file:
      np.save(file, array)
  path = files.join(directory, writer.VOCABULARY_FILE)
  with files.atomic_write(path, "w") as file:
    file.writelines(
      f"{label}\t{count}\n"
      for label, count in zip(split.labels, split.counts.tolist(), strict=True)
    )
  names = [f"{name}.npy" for name in arrays] + [writer.VOCABULARY_FILE]
  described = {
    **metadata,
    "format": FORMAT,
    "version": VERSION,
    "dataset": data.fingerprint,
    "num_clusters": int(np.max(recording_cluster, initial=-1)) + 1,
    "labels": len(split.labels),
    "senses": int((split.cluster >= 0).sum()),
    "files": {n: files.sha256(files.join(directory, n)) for n in names},
  }
  files.write_json(files.join(directory, FILE_NAME), described)


def _check(path: str, metadata: Any, data: prepared.PreparedDataset) -> None:
  if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
    raise errors.DataError(f"{path}: not the description of sense labels")
  if metadata.get("version") != VERSION:
    raise errors.DataError(
      f"{path}: version {metadata.get('version')}, but this code reads version"
      f" {VERSION}: run launch/senses.py again"
    )
  if metadata.get("dataset") != data.fingerprint:
    raise errors.ConfigError(
      f"{path}: senses of another dataset than {data.directory}, whose"
      " vocabulary is another one: run launch/senses.py on this dataset"
    )


def _check_files(directory: str, metadata: Mapping[str, Any]) -> None:
  for name, digest in metadata.get("files", {}).items():
    path = files.join(directory, name)
    if not files.exists(path) or files.sha256(path) != digest:
      raise errors.DataError(
        f"{path}: missing or damaged: delete {directory} and run"
        " launch/senses.py again"
      )


def label_names_of(data: prepared.PreparedDataset) -> label_names.LabelNames:
  """The names of a dataset's labels, split by sense or not."""
  labels, counts = data.vocabulary, data.label_counts
  if not isinstance(data, RelabelledDataset):
    return label_names.LabelNames.plain(labels, counts)
  senses_of = data.sense_labels
  return label_names.LabelNames(
    labels=labels,
    counts=counts,
    term_names=senses_of.plain_vocabulary,
    terms=senses_of.plain,
    clusters=senses_of.cluster,
  )
