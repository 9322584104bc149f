"""The process that runs UMAP: `python -m music_embed.serving.layout_worker`.

It computes in one thread, since that is what makes UMAP repeat. Messages are
JSON and raw arrays, never pickles.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from multiprocessing import connection
from typing import Any

import numpy as np
import numpy.typing as npt

READY = b"ready"
"""First message, before anything slow is imported."""

_SPARSE_UP_TO = 20_000
_MIN_DISTANCE, _MIN_DISTANCE_OF_MANY = 0.5, 0.1
"""More than UMAP's .1 where points are few: islands are as true, and wide
enough to point at. Of 100,000 points it kept fewer neighbours (.48 for .63)."""


def main(arguments: list[str]) -> None:
  """Lays out once.

  Args:
    arguments: file descriptor of the connection.
  """
  with connection.Connection(int(arguments[0])) as parent:
    parent.send_bytes(READY)
    header = json.loads(parent.recv_bytes())
    shape = header["size"], header["neighbors"]
    rows = np.frombuffer(parent.recv_bytes(), np.int32).reshape(shape)
    distances = np.frombuffer(parent.recv_bytes(), np.float32).reshape(shape)
    start = np.frombuffer(parent.recv_bytes(), np.float32).reshape(-1, 2)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    points = lay_out(rows, distances, start, seed=header["seed"])
    parent.send_bytes(np.ascontiguousarray(points).data.cast("B"))


def lay_out(
  rows: npt.NDArray[np.int32],
  distances: npt.NDArray[np.float32],
  start: npt.NDArray[np.float32],
  *,
  seed: int,
) -> npt.NDArray[np.float32]:
  """UMAP of neighbourhoods.

  Args:
    rows: int32 [size, neighbors], nearest first, each with itself first; -1
      for none.
    distances: float32 [size, neighbors].
    start: float32 [size, 2], where points begin.
    seed: of what it draws.

  Returns:
    float32 [size, 2].
  """
  # `import umap` would import TensorFlow for a class of it that isn't needed.
  sys.modules["tensorflow"] = None  # type: ignore[assignment]
  from umap import umap_

  random = np.random.RandomState(seed)
  size, count = rows.shape
  graph: Any = umap_.fuzzy_simplicial_set(
    np.zeros((size, 1), np.float32),  # Only its length is looked at.
    count,
    random,
    "cosine",
    knn_indices=rows,
    knn_dists=distances,
  )[0]
  is_sparse = size <= _SPARSE_UP_TO
  a, b = umap_.find_ab_params(
    1.0, _MIN_DISTANCE if is_sparse else _MIN_DISTANCE_OF_MANY
  )
  points, _ = umap_.simplicial_set_embedding(
    None,
    graph,
    n_components=2,
    initial_alpha=1.0,
    a=a,
    b=b,
    gamma=1.0,
    negative_sample_rate=5,
    n_epochs=None,
    init=jittered(start, random),
    random_state=random,
    metric="cosine",
    metric_kwds={},
    densmap=False,
    densmap_kwds={},
    output_dens=False,
    parallel=False,
    tqdm_kwds={
      "desc": "map",
      "unit": "epoch",
      "delay": 2,
      "mininterval": 0.5,
      "leave": False,
      "disable": False,
    },
  )
  return np.asarray(points, np.float32)


def jittered(
  start: npt.NDArray[np.float32], random: np.random.RandomState
) -> npt.NDArray[np.float32]:
  """Points no two of which coincide: UMAP divides by their extent."""
  reach = float(np.abs(start).max()) or 1.0
  noise = random.normal(scale=1e-4, size=start.shape)
  return (start / reach + noise).astype(np.float32)


def _leave_with(parent: connection.Connection) -> None:
  """Ends this process once the other end of the connection is gone."""
  parent.poll(None)
  os._exit(1)


if __name__ == "__main__":
  try:
    main(sys.argv[1:])
  except (BrokenPipeError, ConnectionResetError, EOFError):
    sys.exit(1)  # The parent is gone.
