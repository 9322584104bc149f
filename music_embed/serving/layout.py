"""Where recordings lie on the map: two coordinates each, from their vectors.

UMAP (McInnes et al. 2018) of the nearest neighbours, which the index knows
already, begun from the principal components so that what lies far apart stays
so. Of very many recordings a spread of landmarks is laid out, and each other
one put among the landmarks nearest to it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors
from music_embed.data.engines import child
from music_embed.serving import layout_worker

Kind = Literal["umap", "pca"]
Nearest = Callable[
  [npt.NDArray[np.float32], int],
  tuple[npt.NDArray[np.float32], npt.NDArray[Any]],
]
"""Of queries [n, dim] and k: cosines [n, k] and rows [n, k], -1 for none."""

VERSION = 2
"""Of the arithmetic: layouts of another version are made again."""

_NEIGHBORS = 15
_LEAST_FOR_UMAP = 20
_PLACED_BY = 3
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class Options:
  """How a layout is made.

  Attributes:
    most_umap: recordings up to which each has its place from UMAP itself.
    landmarks: recordings that UMAP lays out where there are more.
    seed: of all that is drawn; the same seed gives the same layout.
  """

  most_umap: int = 200_000
  landmarks: int = 100_000
  seed: int = 0


def chosen(kind: str, size: int) -> Kind:
  """The kind of layout that a wish comes to.

  Args:
    kind: "auto", "umap" or "pca".
    size: number of recordings; too few for neighbourhoods get their principal
      components, whatever was wished.

  Raises:
    ConfigError: another kind, or UMAP is wished and not installed.
  """
  if kind not in ("auto", "umap", "pca"):
    raise errors.ConfigError(f"--layout={kind}: must be auto, umap or pca")
  installed = importlib.util.find_spec("umap") is not None
  if kind == "umap" and not installed:
    raise errors.ConfigError(
      "--layout=umap: UMAP is not installed: pip install 'music_embed[explore]'"
    )
  if kind == "pca" or not installed or size < _LEAST_FOR_UMAP:
    return "pca"
  return "umap"


def lay_out(
  vectors: npt.NDArray[np.float32],
  nearest: Nearest,
  kind: Kind,
  options: Options | None = None,
) -> npt.NDArray[np.float32]:
  """Coordinates of recordings.

  Args:
    vectors: float32 [size, dim] of unit norm; may be memory-mapped.
    nearest: looks up neighbours among them.
    kind: "umap" or "pca".
    options: how; None takes the defaults.

  Returns:
    float32 [size, 2] in [-1, 1], the wider extent across.

  Raises:
    MusicEmbedError: the process that runs UMAP died.
  """
  options = options or Options()
  start = principal(vectors)
  if kind == "pca":
    return framed(start)
  size = len(vectors)
  if size <= options.most_umap:
    return framed(_umap(vectors, nearest, start, options.seed))
  landmarks = np.linspace(0, size - 1, options.landmarks).astype(np.int64)
  few = np.ascontiguousarray(vectors[landmarks])
  nearest_few = _inverted_file(few)
  laid = _umap(few, nearest_few, start[landmarks], options.seed)
  points = _among(vectors, nearest_few, laid)
  points[landmarks] = laid
  return framed(points)


def principal(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
  """The first two principal components, float32 [size, 2].

  Signs are such that the sum of cubes is not negative; a component that there
  is not is 0.
  """
  size, dim = vectors.shape
  points = np.zeros((size, 2), np.float32)
  if size < 2:
    return points
  total = np.zeros(dim)
  products = np.zeros((dim, dim))
  for rows in _blocks(size):
    block = np.asarray(vectors[rows], np.float64)
    total += block.sum(0)
    products += block.T @ block
  mean = total / size
  _, axes = np.linalg.eigh(products / size - np.outer(mean, mean))
  axes = axes[:, ::-1][:, :2]
  for rows in _blocks(size):
    points[rows, : axes.shape[1]] = (vectors[rows] - mean) @ axes
  return points * _signs(points)


def framed(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
  """Turns points so that they are widest across, and fits them into [-1, 1].

  Both axes keep one scale.

  Args:
    points: float32 [size, 2].

  Returns:
    float32 [size, 2].
  """
  if not len(points):
    return points
  centered = points.astype(np.float64)
  centered -= centered.mean(0)
  _, axes = np.linalg.eigh(centered.T @ centered)
  turned = centered @ axes[:, ::-1]
  turned *= _signs(turned)
  turned -= (turned.min(0) + turned.max(0)) / 2
  reach = np.abs(turned).max()
  # Rounding to float32 may not leave the frame.
  scaled = np.clip(turned / reach if reach else turned, -1, 1)
  return scaled.astype(np.float32)


def neighbourhoods(
  vectors: npt.NDArray[np.float32], nearest: Nearest, count: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
  """Each recording and those nearest to it.

  Args:
    vectors: float32 [size, dim].
    nearest: finds them.
    count: of each, itself among them.

  Returns:
    Rows int32 [size, count], the recording itself first, -1 where fewer were
    found; cosine distances float32 [size, count].
  """
  size = len(vectors)
  found = np.full((size, count), -1, np.int32)
  distances = np.zeros((size, count), np.float32)
  for rows in _watched(size, "neighbours"):
    scores, near = nearest(np.asarray(vectors[rows]), count)
    own = np.arange(rows.start, rows.stop)[:, None]
    # Another may lie in the very same place, or come before by rounding.
    order = np.argsort(np.where(near == own, 0, 1), axis=1, kind="stable")
    near = np.take_along_axis(near, order, 1)
    scores = np.take_along_axis(np.asarray(scores), order, 1)
    absent = near[:, :1] != own
    near = np.where(absent, np.concatenate([own, near[:, :-1]], 1), near)
    scores = np.where(
      absent, np.concatenate([np.ones_like(own), scores[:, :-1]], 1), scores
    )
    far = np.where(near >= 0, np.maximum(1 - scores, 0), 0)
    far[:, 0] = 0
    found[rows], distances[rows] = near, far
  return found, np.maximum.accumulate(distances, axis=1)


def _umap(
  vectors: npt.NDArray[np.float32],
  nearest: Nearest,
  start: npt.NDArray[np.float32],
  seed: int,
) -> npt.NDArray[np.float32]:
  """UMAP in a process of its own, float32 [size, 2].

  It compiles for seconds, computes for minutes, and importing it would import
  TensorFlow: the process can be ended at once, and takes all that with it.
  """
  count = min(_NEIGHBORS, len(vectors))
  rows, distances = neighbourhoods(vectors, nearest, count)
  worker = child.Child(layout_worker.__name__)
  try:
    worker.connection.recv_bytes()
    header = {"size": len(vectors), "neighbors": count, "seed": seed}
    worker.connection.send_bytes(json.dumps(header).encode())
    for array in (rows, distances, start):
      worker.connection.send_bytes(np.ascontiguousarray(array).data.cast("B"))
    answer = worker.connection.recv_bytes()
  except (EOFError, OSError) as error:
    raise errors.MusicEmbedError(
      f"the process that lays out the map died ({worker.end(kill=False)});"
      " what it said is above; --layout=pca does without it"
    ) from error
  except BaseException:
    worker.end(kill=True)
    raise
  worker.end(kill=False)
  return np.frombuffer(answer, np.float32).reshape(-1, 2)


def _inverted_file(vectors: npt.NDArray[np.float32]) -> Nearest:
  """A fast look-up among landmarks, deterministic, of high recall."""
  size, dim = vectors.shape
  lists = max(1, min(int(4 * np.sqrt(size)), size // 40))
  quantizer = faiss.IndexFlatIP(dim)
  index = faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
  index.train(vectors)
  index.add(vectors)
  index.nprobe = min(lists, 16)

  def nearest(
    queries: npt.NDArray[np.float32], k: int
  ) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    return index.search(np.ascontiguousarray(queries), k)

  return nearest


def _among(
  vectors: npt.NDArray[np.float32],
  nearest: Nearest,
  laid: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
  """Places of recordings among landmarks, float32 [size, 2].

  The mean of the nearest ones' places, weighted as UMAP weights neighbours:
  by how much further away each is than the nearest.
  """
  points = np.zeros((len(vectors), 2), np.float32)
  for rows in _watched(len(vectors), "places"):
    scores, near = nearest(np.asarray(vectors[rows]), _PLACED_BY)
    further = scores[:, :1] - scores
    spread = np.maximum(further.mean(1, keepdims=True), 1e-6)
    weights = np.where(near >= 0, np.exp(-further / spread), 0)
    weights /= weights.sum(1, keepdims=True)
    points[rows] = np.einsum("nk,nkd->nd", weights, laid[near])
  return points


def _signs(points: npt.NDArray[Any]) -> npt.NDArray[Any]:
  """-1 or 1 for each axis, so that mirror images become one."""
  cubes = (points.astype(np.float64) ** 3).sum(0)
  return np.where(cubes < 0, -1, 1).astype(points.dtype)


def _blocks(size: int) -> Iterator[slice]:
  for start in range(0, size, _BLOCK):
    yield slice(start, min(start + _BLOCK, size))


def _watched(size: int, what: str) -> Iterator[slice]:
  """Blocks of rows, under a progress bar where there are many."""
  with tqdm.tqdm(
    total=size, desc=what, unit="", delay=2, mininterval=0.5, leave=False
  ) as bar:
    for rows in _blocks(size):
      yield rows
      bar.update(rows.stop - rows.start)
