"""What launch/formats.md says of files, and what files have."""

from __future__ import annotations

import json
import pathlib
import re

import docs_pages
import pyarrow.ipc
import pyarrow.parquet

from music_embed.data.records import example, tfrecord

PAGE = "launch/formats.md"
_HEADING = re.compile(r"^#+ (Keys|Columns|Features) of `([^`]+)`$")


def stated() -> dict[str, set[str]]:
  """Names in the first column of the tables, by the file of their heading."""
  found: dict[str, set[str]] = {}
  names: set[str] = set()
  text = (docs_pages.ROOT / PAGE).read_text(encoding="utf-8")
  for line in text.splitlines():
    heading = _HEADING.match(line)
    if heading:
      names = found.setdefault(heading[2], set())
    elif line.startswith("#"):
      names = set()
    elif line.startswith("| `"):
      names.update(re.findall(r"`([^`]+)`", line.split("|")[1]))
  return found


def held(path: pathlib.Path) -> set[str]:
  """Keys of a JSON object, columns of a table, features of a message."""
  if path.suffix == ".json":
    return set(json.loads(path.read_text(encoding="utf-8")))
  if path.suffix == ".jsonl":
    rows = path.read_text(encoding="utf-8").splitlines()
    return set.intersection(*(set(json.loads(row)) for row in rows))
  if path.suffix == ".tsv":
    return set(path.read_text(encoding="utf-8").split("\n")[0].split("\t"))
  if path.suffix == ".parquet":
    return set(pyarrow.parquet.read_schema(path).names)
  if path.suffix == ".arrow":
    with pyarrow.memory_map(str(path)) as file:
      return set(pyarrow.ipc.open_file(file).schema.names)
  data = path.read_bytes()
  size = int.from_bytes(data[:8], "little")
  start = tfrecord.HEADER_BYTES
  return set(example.decode(data[start : start + size]))
