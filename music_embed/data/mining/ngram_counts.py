"""Counts n-grams of texts that outgrow memory, as tasks of an engine.

The documents lie in chunks. One task counts a chunk and writes what it found
grouped by partition of a hash of the n-gram; one task sums a partition over
all chunks and writes its most frequent n-grams; at the end the partitions'
lists are merged. An n-gram is in one partition only, so the result is exact,
and the same as `vocabulary.count_vocabulary` gives.

A task holds the n-grams of a chunk or a partition in memory, some hundred
megabytes at most, whatever the number of documents.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.data.engines import base
from music_embed.data.mining import tokens, vocabulary

CHUNK_BYTES = 1 << 22
"""Text counted by one task; its n-grams take some 300 MB."""

_COUNTS, _TOP, _DONE = "counts", "top", "vocabulary.json"


@dataclasses.dataclass(frozen=True)
class ChunkTask:
  """A chunk of documents to count.

  Attributes:
    texts: file with a JSON list of texts a line, a document each.
    output: file to write: where each group begins and the last one ends
      (int64, bytes of the file), then a block for each.
    num_partitions: groups to write.
    max_ngram: longest n-gram, tokens.
  """

  texts: str
  output: str
  num_partitions: int
  max_ngram: int


@dataclasses.dataclass(frozen=True)
class PartitionTask:
  """A partition of n-grams to sum and rank.

  Attributes:
    directory: where the chunks' counts are.
    num_chunks: how many.
    partition: which group of them.
    output: file to write: one block, most frequent first.
    options: how many n-grams, how frequent.
    num_documents: of all chunks.
  """

  directory: str
  num_chunks: int
  partition: int
  output: str
  options: vocabulary.VocabularyOptions
  num_documents: int


def count(
  engine: base.Engine,
  documents: Iterable[Sequence[str]],
  options: vocabulary.VocabularyOptions,
  *,
  directory: str,
  chunk_bytes: int = CHUNK_BYTES,
) -> vocabulary.Vocabulary:
  """Chooses the n-grams that most documents hold.

  Interrupted and called again with the same documents and options, it goes
  on with the tasks that are left.

  Args:
    engine: runs the tasks.
    documents: the texts of each *training* recording.
    options: how many, how long.
    directory: for the files between tasks; all workers see it. Belongs to
      these documents and options; created where missing.
    chunk_bytes: text of a task, more only where one document has more.

  Returns:
    The vocabulary; chunks, partitions and engine have no influence on it.
  """
  files.make_dirs(directory)
  done = os.path.join(directory, _DONE)
  if os.path.exists(done):
    values = files.read_json(done)
    return vocabulary.Vocabulary(
      tuple(values["labels"]), tuple(values["counts"]), options.max_ngram
    )
  counted = _Counted(documents)
  texts = write_texts(directory, counted, chunk_bytes)
  # As many partitions as chunks: one has about as many n-grams as the other.
  partitions = max(1, len(texts))
  chunk_tasks = [
    ChunkTask(
      path, _path(directory, _COUNTS, chunk), partitions, options.max_ngram
    )
    for chunk, path in enumerate(texts)
  ]
  engine.map(count_chunk, chunk_tasks, description="words", unit="chunk")
  sum_tasks = [
    PartitionTask(
      directory,
      len(texts),
      part,
      _path(directory, _TOP, part),
      options,
      counted.number,
    )
    for part in range(partitions)
  ]
  engine.map(sum_partition, sum_tasks, description="labels", unit="part")
  result = merge([task.output for task in sum_tasks], options)
  files.write_json(done, {"labels": result.labels, "counts": result.counts})
  between = [task.output for task in chunk_tasks]
  between += [task.output for task in sum_tasks]
  for path in (*texts, *between):
    os.unlink(path)
  return result


def write_texts(
  directory: str, documents: Iterable[Sequence[str]], chunk_bytes: int
) -> list[str]:
  """Writes documents into chunks, each whole or not at all.

  Args:
    directory: where to.
    documents: their texts; consumed one at a time.
    chunk_bytes: a chunk ends with the document that reaches this size.

  Returns:
    The chunks' paths.
  """
  paths: list[str] = []
  for number, lines in enumerate(_chunks(documents, chunk_bytes)):
    paths.append(_path(directory, "texts", number))
    with files.atomic_write(paths[-1]) as file:
      file.writelines(lines)
  return paths


def count_chunk(task: ChunkTask) -> None:
  """Counts the documents of a chunk; what is there already is kept."""
  if os.path.exists(task.output):
    return
  counter: collections.Counter[str] = collections.Counter()
  with open(task.texts, "rb") as file:
    for line in file:
      counter.update(tokens.document_ngrams(json.loads(line), task.max_ngram))
  groups: list[list[str]] = [[] for _ in range(task.num_partitions)]
  for gram in counter:
    groups[zlib.crc32(gram.encode()) % task.num_partitions].append(gram)
  blocks = [_encode(group, [counter[g] for g in group]) for group in groups]
  sizes = [8 * (len(groups) + 1), *(len(block) for block in blocks)]
  with files.atomic_write(task.output) as file:
    file.write(np.cumsum(sizes, dtype=np.int64).tobytes())
    file.writelines(blocks)


def sum_partition(task: PartitionTask) -> None:
  """Sums and ranks a partition; what is there already is kept."""
  if os.path.exists(task.output):
    return
  totals: dict[str, int] = {}
  for chunk in range(task.num_chunks):
    path = _path(task.directory, _COUNTS, chunk)
    grams, counts = _decode(_read_group(path, task.partition))
    for gram, number in zip(grams, counts.tolist(), strict=True):
      totals[gram] = totals.get(gram, 0) + number
  most = task.options.max_documents(task.num_documents)
  totals = {gram: number for gram, number in totals.items() if number <= most}
  least = np.fromiter(totals.values(), np.int64, len(totals))
  cut = max(task.options.min_documents, _least(least, task.options.num_labels))
  ranked = _ranked(
    (item for item in totals.items() if item[1] >= cut), task.options.num_labels
  )
  with files.atomic_write(task.output) as file:
    file.write(_encode([g for g, _ in ranked], [n for _, n in ranked]))


def merge(
  paths: Sequence[str], options: vocabulary.VocabularyOptions
) -> vocabulary.Vocabulary:
  """Merges the lists of all partitions.

  Reads all counts first, so that only n-grams that can be among the labels
  are ever held.

  Args:
    paths: outputs of `sum_partition`.
    options: how many labels.

  Returns:
    The vocabulary.
  """
  best = np.zeros(0, np.int64)
  for path in paths:
    _, counts = _decode(_read(path), limit=0)
    best = np.concatenate([best, counts])
    best = best[best >= _least(best, options.num_labels)]
    best = -np.sort(-best)[: options.num_labels]
  cut = _least(best, options.num_labels)
  kept: list[tuple[str, int]] = []
  for path in paths:
    data = _read(path)
    _, counts = _decode(data, limit=0)
    grams, _ = _decode(data, limit=int(np.count_nonzero(counts >= cut)))
    kept.extend(zip(grams, counts[: len(grams)].tolist(), strict=True))
    if len(kept) > 2 * options.num_labels:  # Many ties at the cut.
      kept = _ranked(kept, options.num_labels)
  kept = _ranked(kept, options.num_labels)
  return vocabulary.Vocabulary(
    tuple(gram for gram, _ in kept),
    tuple(number for _, number in kept),
    options.max_ngram,
  )


class _Counted:
  """Documents, and how many have been read."""

  def __init__(self, documents: Iterable[Sequence[str]]) -> None:
    self._documents = documents
    self.number = 0

  def __iter__(self) -> Iterator[Sequence[str]]:
    for document in self._documents:
      self.number += 1
      yield document


def _chunks(
  documents: Iterable[Sequence[str]], chunk_bytes: int
) -> Iterator[list[bytes]]:
  lines: list[bytes] = []
  num_bytes = 0
  for texts in documents:
    # ASCII, for lone surrogates have no UTF-8.
    lines.append(json.dumps(list(texts)).encode() + b"\n")
    num_bytes += sum(len(text.encode("utf-8", "replace")) for text in texts)
    if num_bytes >= chunk_bytes:
      yield lines
      lines, num_bytes = [], 0
  if lines:
    yield lines


def _ranked(
  items: Iterable[tuple[str, int]], limit: int
) -> list[tuple[str, int]]:
  return sorted(items, key=lambda item: (-item[1], item[0]))[:limit]


def _least(counts: npt.NDArray[Any], limit: int) -> int:
  """The count of the last of the `limit` largest; 0 where there are fewer."""
  if not 0 < limit < len(counts):
    return 0
  return int(np.partition(counts, len(counts) - limit)[len(counts) - limit])


def _encode(grams: Sequence[str], counts: Sequence[int]) -> bytes:
  """A block: number of n-grams, counts (all int64), n-grams a line each."""
  head = np.array([len(grams), *counts], np.int64).tobytes()
  return head + "\n".join(grams).encode()


def _decode(
  block: bytes, limit: int | None = None
) -> tuple[list[str], npt.NDArray[Any]]:
  """The first `limit` n-grams, and all counts, int64 [n]."""
  size = int(np.frombuffer(block, np.int64, 1)[0])
  counts = np.frombuffer(block, np.int64, size, offset=8)
  wanted = size if limit is None else min(limit, size)
  if not wanted:
    return [], counts
  lines = block[8 + 8 * size :].split(b"\n", wanted)[:wanted]
  return [line.decode() for line in lines], counts


def _read(path: str) -> bytes:
  with open(path, "rb") as file:
    return file.read()


def _read_group(path: str, partition: int) -> bytes:
  with open(path, "rb") as file:
    file.seek(8 * partition)
    start, stop = np.frombuffer(file.read(16), np.int64).tolist()
    file.seek(start)
    return file.read(stop - start)


def _path(directory: str, kind: str, number: int) -> str:
  return os.path.join(directory, f"{kind}-{number:05d}")
