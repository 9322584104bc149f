"""What a person names to be embedded: files, folders, globs, lists, tables."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
import stat
from collections.abc import Iterator, Sequence

from music_embed.core import errors, files
from music_embed.data.corpora import tables
from music_embed.data.records import embedded
from music_embed.serving import input_folders

_LIST = ".txt"
_OPTIONAL = ("recording_id", "title", "artist")


@dataclasses.dataclass(frozen=True)
class Named:
  """A file as it was named.

  Attributes:
    id: of the recording.
    audio: the file, absolute.
    place: where it was named, for messages.
    title: of a table; empty where it does not say.
    artist: of a table; empty where it does not say.
    in_table: whether a table names it.
  """

  id: str
  audio: str
  place: str
  title: str = ""
  artist: str = ""
  in_table: bool = False


@dataclasses.dataclass(frozen=True)
class Item:
  """A file that is there.

  Attributes:
    source: of the recording, as it is now.
    title: of a table; empty where it does not say.
    artist: of a table; empty where it does not say.
  """

  source: embedded.Source
  title: str = ""
  artist: str = ""


@dataclasses.dataclass
class Listing:
  """All that was named.

  Attributes:
    items: files, each id once.
    problems: files and folders that cannot be used, as is plain already.
    num_twice: files that were named more than once.
    num_hidden: as of `input_folders.Walk`, like the following.
    num_other: files whose names tell of no audio.
    num_links: links to folders that are reached anyway.
  """

  items: list[Item] = dataclasses.field(default_factory=list)
  problems: list[embedded.Rejected] = dataclasses.field(default_factory=list)
  num_twice: int = 0
  num_hidden: int = 0
  num_other: int = 0
  num_links: int = 0


def find(inputs: Sequence[str]) -> Listing:
  """Finds the files that inputs name.

  - A folder: its audio files at any depth; the id is the path below it.
  - A pattern (`music/*/live*.mp3`, `**` for any depth): likewise, with the
    path below its first part without `*`, `?` or `[`.
  - A `.txt` list: a file or folder each line, relative to the list's folder;
    the id is the path as written.
  - A table (csv, tsv, jsonl, each also .gz; parquet): `audio`, relative to the
    table's folder, and, where it has them, `recording_id`, `title` and
    `artist`; without an id it is the path as written.
  - Anything else: one audio file, whose id is its name.

  Args:
    inputs: at least one.

  Raises:
    ConfigError: an input is not there, or names no file, or two files would
      have the same id.
    DataError: a table or a list cannot be read; names the row.
  """
  if not inputs:
    raise errors.ConfigError(
      "nothing to embed: name files, folders, patterns, a .txt list or a table"
      " (--input, or plainly)"
    )
  listing = Listing()
  by_id: dict[str, Named] = {}
  paths: set[str] = set()
  for text in inputs:
    before = len(by_id) + listing.num_twice + len(listing.problems)
    for named in _named(text, listing):
      if _is_new(named, by_id, paths, listing):
        _take(named, listing)
    if before == len(by_id) + listing.num_twice + len(listing.problems):
      raise errors.ConfigError(f"--input={text}: no audio file there")
  return listing


def _is_new(
  named: Named, by_id: dict[str, Named], paths: set[str], listing: Listing
) -> bool:
  """Notes what is named; raises ConfigError if another file has the id."""
  first = by_id.get(named.id)
  if first is not None and first.audio != named.audio:
    raise errors.ConfigError(
      f"two files would have the id {named.id!r}: {first.audio} ({first.place})"
      f" and {named.audio} ({named.place}); name one folder above both, or a"
      " table with recording_id and audio"
    )
  if first is not None or (named.audio in paths and not named.in_table):
    listing.num_twice += 1
    return False
  by_id[named.id] = named
  paths.add(named.audio)
  return True


def _take(named: Named, listing: Listing) -> None:
  """Files a named file under what is there, or among the problems."""
  reason, size_bytes, mtime_ns = "", 0, 0
  try:
    status = os.stat(named.audio)
    size_bytes, mtime_ns = status.st_size, status.st_mtime_ns
    if not stat.S_ISREG(status.st_mode):
      reason = "not a file"
    (named.id + named.audio).encode()
  except FileNotFoundError:
    reason = "no such file"
  except OSError as error:
    reason = f"cannot be read ({error.strerror})"
  except (UnicodeEncodeError, ValueError):
    reason = "its name is not UTF-8: rename it"
  source = embedded.Source(
    _printable(named.id), _printable(named.audio), size_bytes, mtime_ns
  )
  if reason:
    listing.problems.append(embedded.Rejected(source, reason))
  else:
    listing.items.append(Item(source, named.title, named.artist))


def _named(text: str, listing: Listing) -> Iterator[Named]:
  """All that one input names."""
  files.require_local(text, "input")
  place = f"--input={text}"
  if os.path.isdir(text):
    yield from _in_folder(text, "", place, listing)
  elif not os.path.exists(text) and glob.has_magic(text):
    yield from _in_pattern(text, place, listing)
  elif not os.path.exists(text):
    raise errors.ConfigError(f"{place}: no such file or folder")
  elif text.lower().endswith(_LIST):
    yield from _in_list(text, listing)
  elif _is_table(text):
    yield from _in_table(text)
  else:
    yield Named(os.path.basename(text), os.path.abspath(text), place)


def _in_folder(
  folder: str, prefix: str, place: str, listing: Listing
) -> Iterator[Named]:
  """Audio below a folder; `prefix` stands before the ids."""
  found = input_folders.walk(folder)
  listing.num_hidden += found.num_hidden
  listing.num_other += found.num_other
  listing.num_links += found.num_links
  top = os.path.abspath(folder)
  for name, reason in found.unreadable:
    path = os.path.join(top, name).rstrip("/")
    source = embedded.Source(
      _printable(os.path.join(prefix, name) or "."), _printable(path), 0, 0
    )
    reason = f"this folder cannot be read ({reason})"
    listing.problems.append(embedded.Rejected(source, reason))
  for name in found.names:
    yield Named(os.path.join(prefix, name), os.path.join(top, name), place)


def _in_pattern(pattern: str, place: str, listing: Listing) -> Iterator[Named]:
  """Audio that a pattern matches; ids are relative to its fixed part."""
  base = _fixed_part(pattern)
  if "**" in pattern:  # Loops of links end in our own walk.
    parts = os.path.relpath(pattern, base or ".").split(os.sep)
    for named in _in_folder(base or ".", "", place, listing):
      if _matches(named.id.split(os.sep), parts):
        yield named
    return
  for path in sorted(glob.glob(pattern)):
    name = os.path.relpath(path, base or ".")
    if os.path.isdir(path):
      yield from _in_folder(path, name, place, listing)
    elif input_folders.is_audio(path):
      yield Named(name, os.path.abspath(path), place)
    else:
      listing.num_other += 1


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
  """Whether a path's parts match a pattern's, `**` for any number of them."""
  if not pattern:
    return not names
  if pattern[0] == "**":
    ends = range(len(names) + 1)
    return pattern[1:] == [] or any(
      _matches(names[n:], pattern[1:]) for n in ends
    )
  if not names or not fnmatch.fnmatchcase(names[0], pattern[0]):
    return False
  return _matches(names[1:], pattern[1:])


def _fixed_part(pattern: str) -> str:
  """The folders before the first part of a pattern that is one."""
  base = os.path.dirname(pattern)
  while glob.has_magic(base):
    base = os.path.dirname(base)
  return base


def _in_list(path: str, listing: Listing) -> Iterator[Named]:
  """Files of a list; those that are not there are found out later."""
  folder = os.path.dirname(os.path.abspath(path))
  try:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
      lines = [line.strip() for line in file]
  except OSError as error:
    raise errors.DataError(f"{path}: cannot be read ({error})") from error
  for number, line in enumerate(lines, 1):
    if not line:
      continue
    place = f"{path}, line {number}"
    if files.is_remote(line):
      raise errors.DataError(f"{place}: {line}: must be on a local disk")
    if "\0" in line:
      raise errors.DataError(f"{place}: not text; is this a list of files?")
    audio = os.path.abspath(os.path.join(folder, line))
    if os.path.isdir(audio):
      yield from _in_folder(audio, os.path.normpath(line), place, listing)
    else:
      yield Named(os.path.normpath(line), audio, place)


def _is_table(path: str) -> bool:
  try:
    return bool(tables.table_format(path))
  except errors.DataError:
    return False


def _in_table(path: str) -> Iterator[Named]:
  folder = os.path.dirname(os.path.abspath(path))
  rows: dict[str, int] = {}
  for row in tables.read_rows(path, required=("audio",), optional=_OPTIONAL):
    problem, values = row.problem, row.values
    audio = values.get("audio", "")
    name = values.get("recording_id") or audio
    if not problem and not audio:
      problem = "audio is empty"
    elif not problem and files.is_remote(audio):
      problem = f"{audio}: must be on a local disk"
    elif not problem and name in rows:
      problem = f"{name!r} is already that of row {rows[name]}"
    if problem:
      raise errors.DataError(f"{path}, row {row.number}: {problem}")
    rows[name] = row.number
    yield Named(
      id=name,
      audio=os.path.abspath(os.path.join(folder, audio)),
      place=f"{path}, row {row.number}",
      title=values.get("title", ""),
      artist=values.get("artist", ""),
      in_table=True,
    )


def _printable(text: str) -> str:
  """Bytes that are no UTF-8 written out."""
  return os.fsencode(text).decode("utf-8", "backslashreplace")
