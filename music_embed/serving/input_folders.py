"""Audio files in a folder and all folders below it."""

from __future__ import annotations

import collections
import dataclasses
import os

from music_embed.data.corpora import audio_index

_UNDECODABLE = (
  *(".aac", ".alac", ".amr", ".ape", ".dff", ".dsf", ".m4a", ".m4b", ".mka"),
  *(".mpc", ".shn", ".spx", ".tak", ".tta", ".webm", ".wma", ".wv"),
)
EXTENSIONS = audio_index.EXTENSIONS | frozenset(
  (".aifc", ".au", ".caf", ".mp2", ".mpga", ".rf64", ".snd", ".w64")
  + _UNDECODABLE
)
"""Names that tell of audio, also in formats that cannot be decoded here: such
files are rejected by name, where leaving them out would be silent."""


@dataclasses.dataclass
class Walk:
  """What lies in a folder.

  Attributes:
    names: audio files, relative to the folder, sorted.
    unreadable: folders that cannot be read, relative, and why.
    num_hidden: files and folders left out since their names begin with a dot.
    num_other: files left out since their names tell of no audio.
    num_links: links to folders that were left out, being reached anyway.
  """

  names: list[str] = dataclasses.field(default_factory=list)
  unreadable: list[tuple[str, str]] = dataclasses.field(default_factory=list)
  num_hidden: int = 0
  num_other: int = 0
  num_links: int = 0


def walk(root: str) -> Walk:
  """Finds audio files.

  Each folder is entered once, however many links lead there, and by its own
  name before a link's; so loops end.

  Args:
    root: an existing folder.
  """
  found = Walk()
  seen: set[tuple[int, int]] = set()
  folders = collections.deque([""])
  links: collections.deque[str] = collections.deque()
  while folders or links:
    is_link = not folders
    folder = links.popleft() if is_link else folders.pop()
    try:
      status = os.stat(os.path.join(root, folder))
      if (status.st_dev, status.st_ino) in seen:
        found.num_links += is_link
        continue
      seen.add((status.st_dev, status.st_ino))
      _enter(root, folder, found, folders, links)
    except OSError as error:
      found.unreadable.append((folder, error.strerror or str(error)))
  found.names.sort()
  return found


def is_audio(name: str) -> bool:
  """Whether a file's name tells of audio."""
  return os.path.splitext(name)[1].lower() in EXTENSIONS


def _enter(
  root: str,
  folder: str,
  found: Walk,
  folders: collections.deque[str],
  links: collections.deque[str],
) -> None:
  """Lists one folder; raises OSError."""
  with os.scandir(os.path.join(root, folder)) as scan:
    entries = sorted(scan, key=lambda entry: entry.name)
  for entry in entries:
    name = os.path.join(folder, entry.name)
    if entry.name.startswith("."):
      found.num_hidden += 1
    elif _is_folder(entry):
      (links if entry.is_symlink() else folders).append(name)
    elif is_audio(entry.name):
      found.names.append(name)
    else:
      found.num_other += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # A link to itself.
    return False
