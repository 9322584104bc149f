"""What is to be embedded, beside what lies in the folder already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from music_embed.core import errors, files
from music_embed.data.records import embedded, embedding_folder, embedding_parts
from music_embed.serving import inputs as inputs_lib

LOCK_FILE = ".embed.lock"
"""Held while a folder is written; tells later that it is one of ours."""

_PART_FILES = 256
_PART_BYTES = 1 << 30


@dataclasses.dataclass
class State:
  """What lies in a folder.

  Attributes:
    directory: of the folder.
    folder: as its summary says; None where it is unfinished.
    parts: all that count, ascending, also of an unfinished call.
    next_number: of a new part.
  """

  directory: str
  folder: embedding_folder.EmbeddingFolder | None
  parts: list[embedded.Part]
  next_number: int

  def latest(self) -> dict[str, embedded.Stored | embedded.Rejected]:
    """What was last made of each id."""
    found: dict[str, embedded.Stored | embedded.Rejected] = {}
    for part in self.parts:
      found |= {row.source.id: row for row in part.stored}
      found |= {file.source.id: file for file in part.rejected}
    return found


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a call does.

  Attributes:
    parts: files to embed, a list for each new part.
    renamed: rows that stay, but whose path, title or artist is another now,
      by id.
    dropped: ids that are given up.
    num_done: files that are embedded already.
    num_failed: files that were rejected before and have not changed.
    num_changed: files to embed again, since they have changed.
    num_gone: recordings of the folder that no input names.
  """

  parts: list[list[inputs_lib.Item]]
  renamed: Mapping[str, embedded.Stored]
  dropped: frozenset[str]
  num_done: int
  num_failed: int
  num_changed: int
  num_gone: int

  @property
  def items(self) -> list[inputs_lib.Item]:
    """All files to embed, in order."""
    return [item for part in self.parts for item in part]


def read(directory: str, maker: embedded.Maker) -> State:
  """Reads what lies in a folder, which is locked, and tidies it.

  Args:
    directory: of the folder.
    maker: of this call.

  Raises:
    ConfigError: the folder holds something else, or embeddings of another
      model or with other options.
    DataError: a part is damaged.
  """
  embedding_parts.remove_leftovers(directory)
  folder = None
  if os.path.exists(files.join(directory, embedding_folder.SUMMARY_FILE)):
    folder = embedding_folder.EmbeddingFolder.open(directory)
    _require_same(directory, folder.maker, maker)
  next_number = folder.next_part if folder else 0
  parts = []
  for number in embedding_parts.numbers(directory):
    if folder and number < next_number and number not in folder.parts:
      embedding_parts.remove(directory, number)  # Written anew elsewhere.
      continue
    part = embedding_parts.read(directory, number)
    _require_same(directory, part.maker, maker)
    parts.append(part)
  next_number = max([next_number, *(part.number + 1 for part in parts)])
  return State(directory, folder, parts, next_number)


def require_ours(directory: str) -> None:
  """Raises ConfigError for a folder with files that embedding did not write."""
  if not os.path.isdir(directory):
    if os.path.lexists(directory):
      raise errors.ConfigError(f"--output={directory}: is not a folder")
    return
  names = sorted(n for n in os.listdir(directory) if not n.startswith("."))
  ours = (LOCK_FILE, embedding_folder.SUMMARY_FILE)
  if names and not any(
    os.path.exists(files.join(directory, name)) for name in ours
  ):
    raise errors.ConfigError(
      f"--output={directory}: holds something else ({names[0]}): name"
      " an empty or a new folder"
    )


def plan(
  state: State,
  listing: inputs_lib.Listing,
  *,
  prune: bool,
  retry_rejected: bool,
) -> Plan:
  """Compares what is named with what is there.

  Args:
    state: of the folder.
    listing: of the inputs.
    prune: whether recordings that no input names are given up.
    retry_rejected: whether files that were rejected are tried again, though
      they have not changed.
  """
  latest = state.latest()
  todo: list[inputs_lib.Item] = []
  renamed: dict[str, embedded.Stored] = {}
  counts = dict.fromkeys(("done", "failed", "changed"), 0)
  for item in listing.items:
    found = latest.get(item.source.id)
    if found is None:
      todo.append(item)
    elif isinstance(found, embedded.Rejected):
      if retry_rejected or not _is_same(found.source, item.source):
        todo.append(item)
      else:
        counts["failed"] += 1
    elif not _is_same(found.source, item.source):
      todo.append(item)
      counts["changed"] += 1
    else:
      counts["done"] += 1
      now = _renamed(found, item)
      if now != found:
        renamed[item.source.id] = now
  named = {item.source.id for item in listing.items}
  gone = frozenset(latest.keys() - named)
  return Plan(
    parts=_parts(todo),
    renamed=renamed,
    dropped=gone if prune else frozenset(),
    num_done=counts["done"],
    num_failed=counts["failed"],
    num_changed=counts["changed"],
    num_gone=sum(isinstance(latest[name], embedded.Stored) for name in gone),
  )


def _parts(items: Sequence[inputs_lib.Item]) -> list[list[inputs_lib.Item]]:
  """Files in parts that only they decide, so that a call can go on."""
  parts: list[list[inputs_lib.Item]] = []
  size = 0
  for item in items:
    full = parts and (len(parts[-1]) == _PART_FILES or size >= _PART_BYTES)
    if full or not parts:
      parts.append([])
      size = 0
    parts[-1].append(item)
    size += item.source.size_bytes
  return parts


def _is_same(old: embedded.Source, new: embedded.Source) -> bool:
  """Whether a file has not changed; it may lie in another folder now."""
  return (
    old.size_bytes == new.size_bytes
    and old.mtime_ns == new.mtime_ns
    and os.path.basename(old.audio) == os.path.basename(new.audio)
  )


def _renamed(row: embedded.Stored, item: inputs_lib.Item) -> embedded.Stored:
  return dataclasses.replace(
    row,
    source=item.source,
    title=item.title or row.title,
    artist=item.artist or row.artist,
  )


def _require_same(
  directory: str, found: embedded.Maker, wanted: embedded.Maker
) -> None:
  if found.fingerprint != wanted.fingerprint:
    raise errors.ConfigError(
      f"--output={directory}: holds embeddings of another model"
      f" ({found.fingerprint[:8]}, not {wanted.fingerprint[:8]}): name another"
      " folder"
    )
  for name in ("level", "labels", "max_duration_s"):
    old, new = getattr(found, name), getattr(wanted, name)
    if old != new:
      raise errors.ConfigError(
        f"--output={directory}: was made with --{name}={old}, not {new}: go on"
        " with that, or name another folder"
      )
