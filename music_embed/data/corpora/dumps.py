"""Files of published dumps: found by name, opened whatever packs them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from music_embed.core import errors

_PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_DEPTH = 2


def find(source: str, *names: str) -> str | None:
  """The first of several files that a dump holds.

  Args:
    source: the dump's folder; files may lie up to two folders deeper.
    names: as published, in the order of preference, without the suffix of a
      compressor: each may also be .gz, .bz2, .xz, .zst or .zip.

  Returns:
    Its path, or None.

  Raises:
    DataError: no such folder.
  """
  if not os.path.isdir(source):
    raise errors.DataError(f"{source}: no such folder")
  by_name: dict[str, str] = {}
  for path in _files_below(source, _DEPTH):
    by_name.setdefault(os.path.basename(path), path)
  for name in names:
    for suffix in _PACKED:
      if name + suffix in by_name:
        return by_name[name + suffix]
  return None


def require(source: str, *names: str) -> str:
  """As `find`, but the file must be there.

  Raises:
    DataError: none of them is; names the folder and the files.
  """
  path = find(source, *names)
  if path is None:
    raise errors.DataError(
      f"{source}: holds no {' or '.join(names)} (also .gz, .bz2, .xz, .zst or"
      " .zip); is it the folder of the dump?"
    )
  return path


@contextlib.contextmanager
def open_binary(path: str) -> Iterator[Any]:
  """Opens a file for reading and decompresses it by its suffix.

  Args:
    path: a file; a .zip must hold one file only.

  Yields:
    A binary file.

  Raises:
    DataError: missing, damaged, or a .zip of several files.
  """
  try:
    with contextlib.ExitStack() as stack:
      if path.endswith(".zip"):
        archive = stack.enter_context(zipfile.ZipFile(path))
        names = [n for n in archive.namelist() if not n.endswith("/")]
        if len(names) != 1:
          raise errors.DataError(
            f"{path}: holds {len(names)} files; unpack the one that is meant"
          )
        yield stack.enter_context(archive.open(names[0]))
      else:
        yield stack.enter_context(_decompressed(path))
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
    raise errors.DataError(f"{path}: cannot be read ({error})") from error


@contextlib.contextmanager
def open_text(path: str) -> Iterator[IO[str]]:
  """As `open_binary`, as UTF-8; other bytes become replacement characters."""
  with open_binary(path) as file:
    yield io.TextIOWrapper(
      file, encoding="utf-8-sig", errors="replace", newline=""
    )


def members(
  source: str, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, IO[bytes]]]:
  """Files of a folder, of an archive, or of a folder of archives.

  Archives (tar, also compressed; zip) are read through once, in their order,
  and nothing is unpacked on disk.

  Args:
    source: a folder or an archive.
    wanted: whether a file is wanted, by its name.

  Yields:
    Names and open binary files, each valid until the next is asked for.

  Raises:
    DataError: missing or damaged.
  """
  if os.path.isdir(source):
    for path in _files_below(source, None):
      if path.endswith((*_TAR, ".zip")):
        yield from members(path, wanted)
      elif wanted(path):
        with open_binary(path) as file:
          yield path, file
    return
  try:
    if source.endswith(".zip"):
      with zipfile.ZipFile(source) as archive:
        for name in filter(wanted, archive.namelist()):
          with archive.open(name) as file:
            yield f"{source}:{name}", file
      return
    with (
      _decompressed(source) as packed,
      tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
      for entry in tar:
        if entry.isfile() and wanted(entry.name):
          file = tar.extractfile(entry)
          if file is not None:
            yield f"{source}:{entry.name}", file
  except FileNotFoundError as error:
    raise errors.DataError(f"{source}: no such file or folder") from error
  except (
    OSError,
    EOFError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
  ) as error:
    raise errors.DataError(f"{source}: cannot be read ({error})") from error


def _decompressed(path: str) -> Any:
  if path.endswith((".gz", ".tgz")):
    return gzip.open(path, "rb")
  if path.endswith(".bz2"):
    return bz2.open(path, "rb")
  if path.endswith(".xz"):
    return lzma.open(path, "rb")
  if path.endswith(".zst"):
    import pyarrow  # The standard library has no Zstandard before 3.14.

    return pyarrow.input_stream(path, compression="zstd")
  return open(path, "rb")


def _files_below(folder: str, depth: int | None) -> Iterator[str]:
  """Files of a folder, its own first, then those of folders in it, sorted."""
  with os.scandir(folder) as found:
    entries = sorted(found, key=lambda entry: entry.name)
  yield from (entry.path for entry in entries if entry.is_file())
  if depth != 0:
    for entry in entries:
      if entry.is_dir():
        yield from _files_below(
          entry.path, None if depth is None else depth - 1
        )
