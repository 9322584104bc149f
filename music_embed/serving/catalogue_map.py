"""The map of an index: places and classes, made once and kept beside it.

`explore-umap.npz` (or `-pca`) in the index's folder holds `key` (uint8, the
hexadecimal SHA-256 of all that decides it), `points` (float32 [size, 2]),
`classes` (uint8 [size]) and `legend` (uint8, JSON: names of the classes). One
that was made from other contents is made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.retrieval import index as index_lib
from music_embed.serving import layout as layout_lib
from music_embed.serving import legend as legend_lib


@dataclasses.dataclass(frozen=True)
class CatalogueMap:
  """Where recordings lie, and in what colours.

  Attributes:
    kind: "umap" or "pca".
    points: float32 [size, 2] in [-1, 1].
    legend: classes of the recordings.
    stored: whether it lies beside the index for the next time.
  """

  kind: layout_lib.Kind
  points: npt.NDArray[np.float32]
  legend: legend_lib.Legend
  stored: bool = True


def of_index(
  index: index_lib.Index,
  kind: layout_lib.Kind,
  options: layout_lib.Options | None = None,
) -> CatalogueMap:
  """Reads the map of an index, or makes it and leaves it there.

  Args:
    index: of recordings.
    kind: of the layout.
    options: of the layout; None takes the defaults.

  Returns:
    The map; where the folder takes no files, it is `stored` nowhere.

  Raises:
    MusicEmbedError: the layout could not be made.
  """
  options = options or layout_lib.Options()
  path = files.join(index.folder, f"explore-{kind}.npz")
  key = _key(index, kind, options)
  found = _read(path, key, index.size, kind)
  if found is not None:
    return found
  points = layout_lib.lay_out(index.vectors, index.nearest, kind, options)
  labels = map(index.catalogue.labels, range(index.size))
  legend = legend_lib.telling(labels, index.vectors)
  made = CatalogueMap(kind, points, legend)
  return dataclasses.replace(made, stored=_write(path, key, made))


def _key(index: index_lib.Index, kind: str, options: layout_lib.Options) -> str:
  """What decides a map; the contents of files, not their names."""
  decided = {
    "files": {n: s.sha256 for n, s in index.card.stored.items()},
    "finder": dict(index.card.finder),
    "kind": kind,
    "options": dataclasses.asdict(options),
    "versions": [layout_lib.VERSION, legend_lib.VERSION],
  }
  text = json.dumps(decided, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _read(
  path: str, key: str, size: int, kind: layout_lib.Kind
) -> CatalogueMap | None:
  """None where there is none, of other contents, or a damaged one."""
  try:
    with np.load(path, allow_pickle=False) as stored:
      if stored["key"].tobytes().decode() != key:
        return None
      points, classes = stored["points"], stored["classes"]
      names = json.loads(stored["legend"].tobytes())
  except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
    return None
  if points.shape != (size, 2) or classes.shape != (size,):
    return None
  if classes.max(initial=0) >= len(names):
    return None
  return CatalogueMap(kind, points, legend_lib.Legend(tuple(names), classes))


def _write(path: str, key: str, made: CatalogueMap) -> bool:
  """Whether the folder took it."""
  names = json.dumps(made.legend.labels, ensure_ascii=False)
  buffer = io.BytesIO()
  np.savez(
    buffer,
    key=_bytes(key),
    points=made.points,
    classes=made.legend.classes,
    legend=_bytes(names),
  )
  try:
    with files.atomic_write(path) as file:
      file.write(buffer.getbuffer())
  except (OSError, errors.MusicEmbedError):
    return False
  return True


def _bytes(text: str) -> npt.NDArray[Any]:
  return np.frombuffer(text.encode(), np.uint8)
