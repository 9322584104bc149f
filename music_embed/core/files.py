"""Atomic files, checksums, JSON and shard names; local and object stores."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import IO, Any

from music_embed.core import errors


def is_remote(path: str) -> bool:
  """Whether `path` names an object store (`gs://`, `s3://` ...)."""
  return "://" in path


def _gfile() -> Any:
  import tensorflow as tf  # Slow to import: only where a remote path needs it.

  return tf.io.gfile


def exists(path: str) -> bool:
  """Whether a file or directory is there."""
  return _gfile().exists(path) if is_remote(path) else os.path.exists(path)


def make_dirs(path: str) -> None:
  """Creates a directory and its parents; one that exists is fine."""
  if is_remote(path):
    _gfile().makedirs(path)
  else:
    os.makedirs(path, exist_ok=True)


def join(directory: str, *names: str) -> str:
  """Joins path components with a slash."""
  return os.path.join(directory, *names)


@contextlib.contextmanager
def atomic_write(path: str, mode: str = "wb") -> Iterator[IO[Any]]:
  """Opens a file that appears under `path` whole or not at all.

  Args:
    path: final path; its directory must exist.
    mode: "w" (UTF-8, newline untranslated) or "wb".

  Yields:
    The open file. On an exception nothing is left behind.
  """
  if is_remote(path):
    with _gfile().GFile(path, mode) as file:  # Object stores write whole.
      yield file
    return
  temporary = f"{path}.tmp{os.getpid()}"
  kwargs: dict[str, Any] = (
    {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
  )
  try:
    with open(temporary, mode, **kwargs) as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.unlink(temporary)
    raise


def remove_leftovers(directory: str) -> None:
  """Deletes temporary files that a killed `atomic_write` left behind."""
  for name in os.listdir(directory):
    if re.search(r"\.tmp\d+$", name):
      os.unlink(os.path.join(directory, name))


def write_json(path: str, value: Any) -> None:
  """Writes JSON atomically: sorted keys, two-space indent, final newline."""
  text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
  with atomic_write(path, "w") as file:
    file.write(text + "\n")


def read_json(path: str) -> Any:
  """Reads JSON.

  Raises:
    DataError: the file is missing or is not JSON; names it.
  """
  try:
    if is_remote(path):
      with _gfile().GFile(path, "r") as file:
        return json.loads(file.read())
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except FileNotFoundError as error:
    raise errors.DataError(f"{path}: no such file") from error
  except ValueError as error:
    raise errors.DataError(f"{path}: not JSON ({error})") from error


def sha256(path: str) -> str:
  """Hexadecimal SHA-256 of a file's bytes."""
  digest = hashlib.sha256()
  opener = _gfile().GFile if is_remote(path) else open
  with opener(path, "rb") as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


def shard_name(prefix: str, shard: int, num_shards: int) -> str:
  """`train.tfrecord-00002-of-00008`, the convention of TFDS."""
  return f"{prefix}.tfrecord-{shard:05d}-of-{num_shards:05d}"
