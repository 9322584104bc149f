"""The working folder that lets an interrupted prepare go on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from music_embed.core import errors, files
from music_embed.data.ingestion import shards
from music_embed.data.records import manifest, sidecar

_FOLDER = ".prepare"
_PLAN_FILE = "plan.json"
_LOCK_FILE = "lock"


@dataclasses.dataclass(frozen=True)
class State:
  """What an unfinished dataset has so far.

  Attributes:
    output: the dataset's directory.
  """

  output: str

  def finished(self, shard: shards.Shard) -> shards.ShardResult | None:
    """The result of a shard that an earlier run finished, if any."""
    path = self._result_path(shard)
    if not os.path.exists(path):
      return None
    result = shards.ShardResult.from_json(files.read_json(path))
    for entry in (result.file, result.sidecar):
      path = os.path.join(self.output, entry.name)
      if not os.path.exists(path) or os.path.getsize(path) != entry.num_bytes:
        return None
    return result

  def folder(self, name: str) -> str:
    """A folder for what a phase needs until the dataset is finished."""
    path = os.path.join(self.output, _FOLDER, name)
    files.make_dirs(path)
    return path

  def save(self, shard: shards.Shard, result: shards.ShardResult) -> None:
    """Notes that a shard is finished; only after it is on disk."""
    files.write_json(self._result_path(shard), dataclasses.asdict(result))

  def discard(self, plan: Sequence[shards.Shard]) -> None:
    """Removes all shards and results, so that the next run starts anew."""
    for shard in plan:
      for name in (shard.name, sidecar.name_of(shard.name)):
        with contextlib.suppress(FileNotFoundError):
          os.unlink(os.path.join(self.output, name))
    shutil.rmtree(os.path.join(self.output, _FOLDER))  # Last: it owns them.
    with contextlib.suppress(OSError):
      os.rmdir(self.output)  # Where nothing else is in it.

  def _result_path(self, shard: shards.Shard) -> str:
    return os.path.join(self.output, _FOLDER, f"{shard.name}.json")


def finished_manifest(
  output: str, request: dict[str, Any]
) -> manifest.Manifest | None:
  """The manifest of a dataset that was prepared with the same request.

  Args:
    output: the dataset's directory.
    request: everything that shapes the dataset, as JSON values.

  Returns:
    Its manifest, None where the dataset is not finished.

  Raises:
    DataError: it was prepared, or begun, with another request; or the folder
      holds something else. Nothing is touched.
  """
  if os.path.exists(os.path.join(output, manifest.FILE_NAME)):
    found = manifest.load(output)
    values = found.to_json()
    _check_same(output, {name: values[name] for name in request}, request)
    shutil.rmtree(os.path.join(output, _FOLDER), ignore_errors=True)
    return found
  plan = os.path.join(output, _FOLDER, _PLAN_FILE)
  if os.path.exists(plan):
    _check_same(output, files.read_json(plan), request)
  elif os.path.exists(output) and not os.path.isdir(output):
    raise errors.DataError(f"{output} is not a folder: choose another --output")
  elif os.path.exists(output) and set(os.listdir(output)) - {_FOLDER}:
    raise errors.DataError(
      f"{output} is not empty and holds no dataset: choose another --output"
    )
  return None


@contextlib.contextmanager
def unfinished(output: str, request: dict[str, Any]) -> Iterator[State]:
  """Begins or goes on with a dataset; the only writer of its folder.

  Args:
    output: the dataset's directory; created where missing.
    request: everything that shapes the dataset, as JSON values.

  Yields:
    What there is so far. It is kept on an exception, and removed at the end
    without one: by then the manifest has been written.

  Raises:
    DataError: another process is preparing this dataset, has just finished
      it, or has just begun it with another request.
  """
  folder = os.path.join(output, _FOLDER)
  plan = os.path.join(folder, _PLAN_FILE)
  files.make_dirs(folder)
  with files.exclusive(os.path.join(folder, _LOCK_FILE), output):
    # Another process may have come and gone since these were looked at.
    if os.path.exists(os.path.join(output, manifest.FILE_NAME)):
      raise errors.DataError(
        f"{output}: another process has just finished it: run again"
      )
    if os.path.exists(plan):
      _check_same(output, files.read_json(plan), request)
    else:
      _remove_unplanned(folder)
    files.remove_leftovers(output)
    for inner, _, _ in os.walk(folder):
      files.remove_leftovers(inner)
    files.write_json(plan, request)
    yield State(output)
    files.remove_leftovers(output)  # Of workers that were killed.
    shutil.rmtree(folder, ignore_errors=True)


def _remove_unplanned(folder: str) -> None:
  """Removes what an interrupted `State.discard` left, of another request."""
  for entry in os.scandir(folder):
    if entry.is_dir(follow_symlinks=False):
      shutil.rmtree(entry.path)
    elif entry.name != _LOCK_FILE:
      os.unlink(entry.path)


def _check_same(
  output: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
  different = _differences(before, now, "")
  if different:
    raise errors.DataError(
      f"{output} was prepared from other inputs or options: "
      + "; ".join(different)
      + ". Choose another --output, or delete it first"
    )


def _differences(before: Any, now: Any, name: str) -> list[str]:
  if isinstance(before, dict) and isinstance(now, dict):
    return [
      line
      for key in sorted(before.keys() | now.keys())
      for line in _differences(
        before.get(key), now.get(key), f"{name}.{key}".lstrip(".")
      )
    ]
  return [] if before == now else [f"{name} was {before}, is now {now}"]
