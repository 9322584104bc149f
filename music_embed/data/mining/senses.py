"""Labels split by the cluster of their recording: `bebop` to `46_bebop`.

Huang et al. 2020, section 3.3: a word that means two kinds of music is used
by two kinds of listeners.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors

PLAIN = -1
"""The cluster of a label that is not split."""

_BEGINS_LIKE_A_SENSE = re.compile(r"(\d+)_(.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class SenseOptions:
  """Which labels are split.

  Attributes:
    min_recordings: training recordings of a cluster that must hold a label;
      with fewer these occurrences keep the plain label.
    max_labels: of the new vocabulary. All plain labels stay in it; of the
      split ones the most frequent so many as there is room for, and the
      occurrences of the others keep the plain label (Huang et al. 2020: 1 M).
  """

  min_recordings: int = 5
  max_labels: int = 1_000_000

  def __post_init__(self) -> None:
    for name in ("min_recordings", "max_labels"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"SenseOptions.{name} must be at least 1")


@dataclasses.dataclass(frozen=True)
class SplitLabels:
  """A vocabulary of senses, and which of them every recording holds.

  Labels that no recording holds any more are not in it. Labels stand most
  frequent first, ties in the order of their code points.

  Attributes:
    labels: `46_bebop`, or the plain text of what is not split.
    counts: training recordings that hold each, int64 [labels].
    plain: index of each in the plain vocabulary, int32 [labels].
    cluster: the cluster of each, PLAIN where it is not split, int32 [labels].
    indptr: int64 [recordings + 1].
    indices: sorted labels of each recording, int32 [occurrences].
  """

  labels: list[str]
  counts: npt.NDArray[Any]
  plain: npt.NDArray[Any]
  cluster: npt.NDArray[Any]
  indptr: npt.NDArray[Any]
  indices: npt.NDArray[Any]


def split_labels(
  indptr: npt.NDArray[Any],
  indices: npt.NDArray[Any],
  vocabulary: Sequence[str],
  recording_cluster: npt.NDArray[Any],
  train: range,
  options: SenseOptions | None = None,
) -> SplitLabels:
  """Splits each recording's labels by its cluster.

  Args:
    indptr: int64 [recordings + 1], rows of the plain labels.
    indices: plain labels, int [occurrences].
    vocabulary: texts of the plain labels.
    recording_cluster: int32 [recordings], -1 without one: its labels stay
      plain.
    train: indices of the training recordings, by which labels are counted.
    options: which labels are split; the defaults where None.

  Returns:
    As many occurrences as before, in the same recordings.

  Raises:
    ConfigError: the plain labels alone are more than `max_labels`.
  """
  options = options or SenseOptions()
  if len(vocabulary) > options.max_labels:
    raise errors.ConfigError(
      f"SenseOptions.max_labels = {options.max_labels}: the dataset has"
      f" {len(vocabulary)} plain labels already; take more"
    )
  indptr = np.asarray(indptr, np.int64)
  num_slots = int(recording_cluster.max(initial=PLAIN)) + 2
  rows = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))
  # A pair's key: its plain label, then 0 for plain or 1 + cluster.
  slots = np.asarray(recording_cluster, np.int64) + 1
  keys, which = _distinct(
    np.asarray(indices, np.int64) * num_slots + slots[rows]
  )
  trained = which[int(indptr[train.start]) : int(indptr[train.stop])]
  counts = np.bincount(trained, minlength=len(keys))
  is_split = _is_split(keys, counts, num_slots, vocabulary, options)
  keys, group = _distinct(np.where(is_split, keys, keys - keys % num_slots))
  counts = np.bincount(group, counts, minlength=len(keys)).astype(np.int64)
  plain, slot = np.divmod(keys, num_slots)
  texts = [
    f"{cluster - 1}_{vocabulary[label]}" if cluster else vocabulary[label]
    for label, cluster in zip(plain.tolist(), slot.tolist(), strict=True)
  ]
  order = np.array(
    sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i])), np.int64
  )
  position = np.empty(len(order), np.int64)
  position[order] = np.arange(len(order))
  # Sorted by row, where they are already, and by label within it.
  entries = rows * max(len(order), 1) + position[group][which]
  entries.sort()
  return SplitLabels(
    labels=[texts[index] for index in order],
    counts=counts[order],
    plain=plain[order].astype(np.int32),
    cluster=(slot[order] - 1).astype(np.int32),
    indptr=indptr,
    indices=(entries % max(len(order), 1)).astype(np.int32),
  )


def _is_split(
  keys: npt.NDArray[Any],
  counts: npt.NDArray[Any],
  num_slots: int,
  vocabulary: Sequence[str],
  options: SenseOptions,
) -> npt.NDArray[Any]:
  """Which keys become labels of their own, bool [keys]."""
  enough = (keys % num_slots > 0) & (counts >= options.min_recordings)
  enough &= ~np.isin(keys, _taken(vocabulary, num_slots))
  candidates = np.flatnonzero(enough)
  room = options.max_labels - len(vocabulary)
  most = np.argsort(-counts[candidates], kind="stable")[:room]
  chosen = np.zeros(len(keys), bool)
  chosen[candidates[most]] = True
  return chosen


def _taken(vocabulary: Sequence[str], num_slots: int) -> npt.NDArray[Any]:
  """Keys whose text would be that of a plain label."""
  matches = map(_BEGINS_LIKE_A_SENSE.fullmatch, vocabulary)
  split = {(m[1], m[2]) for m in matches if m is not None}
  if not split:
    return np.zeros(0, np.int64)
  ids = {text: index for index, text in enumerate(vocabulary)}
  keys = [
    ids[text] * num_slots + int(cluster) + 1
    for cluster, text in split
    if text in ids and cluster == str(int(cluster))
    if int(cluster) + 1 < num_slots
  ]
  return np.array(keys, np.int64)


def _distinct(
  keys: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
  """Sorted distinct keys, and which of them each entry is: int64 [entries]."""
  order = np.argsort(keys)
  ordered = keys[order]
  is_first = np.ones(len(ordered), bool)
  is_first[1:] = ordered[1:] != ordered[:-1]
  which = np.empty(len(keys), np.int64)
  which[order] = np.cumsum(is_first) - 1
  return ordered[is_first], which
