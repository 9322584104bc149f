"""Mining ten million listening events, beside a plain scipy A^T A."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from music_embed.data.mining import sanitize
from tools.performance import listening, measure

_USERS, _RECORDINGS = "users.npy", "recordings.npy"
_REFERENCE = "scipy, blocked A^T A, same graph"
_PRODUCT = "scipy, A^T A and threshold alone"
_BLOCK = 1_000
_ROUNDS = 3


def figures(scratch: str) -> list[measure.Figure]:
  """CPU-seconds and peak memory with one and two processes."""
  users, recordings = listening.draw()
  np.save(os.path.join(scratch, _USERS), users)
  np.save(os.path.join(scratch, _RECORDINGS), recordings)
  listening.write_segments(os.path.join(scratch, "events"), users, recordings)
  del users, recordings
  ways = ("product", "reference", "1", "2")
  runs: dict[str, list[measure.Usage]] = {way: [] for way in ways}
  for _ in range(_ROUNDS):
    for way, usages in runs.items():
      usages.append(measure.run_apart(__name__, [f"--folder={scratch}", way]))
  edges = {usage.result["edges"] for way in ways[1:] for usage in runs[way]}
  if len(edges) > 1:
    raise RuntimeError(f"the ways disagree on the number of edges: {edges}")
  found = []
  reference_cpu_s = _median(runs["reference"], "cpu_s")
  reference_bytes = _median(runs["reference"], "peak_bytes")
  for workers in ("1", "2"):
    name = f"colisten_{workers}_process{'es' if workers == '2' else ''}"
    found += [
      measure.Figure.beside(
        f"{name}_cpu_over_product",
        _median(runs[workers], "cpu_s"),
        "CPU-s",
        _PRODUCT,
        _median(runs["product"], "cpu_s"),
      ),
      measure.Figure.beside(
        f"{name}_cpu",
        _median(runs[workers], "cpu_s"),
        "CPU-s",
        _REFERENCE,
        reference_cpu_s,
      ),
      measure.Figure.beside(
        f"{name}_peak",
        _median(runs[workers], "peak_bytes") / 1e9,
        "GB",
        _REFERENCE,
        reference_bytes / 1e9,
      ),
    ]
  return found


def reference(
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
  *,
  product_alone: bool = False,
) -> dict[str, int]:
  """What one would write without us: everything in memory, in one process.

  Args:
    users: int32 [events].
    recordings: int32 [events].
    product_alone: stop at the pairs of the threshold.

  Returns:
    The number of edges; both caps are applied as ours are.
  """
  from music_embed.data.mining import capping

  options = sanitize.GraphOptions()
  hashes = listening.recording_hashes(listening.NUM_RECORDINGS)
  ones = np.ones(len(users), np.int32)
  matrix = scipy.sparse.csr_matrix(
    (ones, (users, recordings)),
    shape=(listening.NUM_USERS, listening.NUM_RECORDINGS),
  )
  matrix.sum_duplicates()
  matrix.data[:] = 1
  enough = np.diff(matrix.indptr) >= options.min_recordings_per_user
  matrix = matrix[enough]
  transposed = matrix.T.tocsr()
  parts = []
  for start in range(0, listening.NUM_RECORDINGS, _BLOCK):
    product = transposed[start : start + _BLOCK] @ matrix
    strong = np.flatnonzero(product.data >= options.tau)
    rows = np.searchsorted(product.indptr, strong, side="right") - 1 + start
    columns, counts = product.indices[strong], product.data[strong]
    other = rows != columns
    pairs = np.stack([rows, columns, counts], axis=1)[other]
    if product_alone:
      parts.append(pairs)
      continue
    kept = capping.strongest(*pairs.T, hashes=hashes, cap=options.max_neighbors)
    parts.append(pairs[kept].astype(np.int64))
  edges = np.concatenate(parts)
  if product_alone:
    return {"pairs": len(edges) // 2}
  low, high = edges[:, :2].min(axis=1), edges[:, :2].max(axis=1)
  _, first = np.unique(low * len(hashes) + high, return_index=True)
  edges = np.stack([low, high, edges[:, 2]], axis=1)[first]
  return {
    "edges": len(capping.cap_degrees(edges, hashes, options.max_neighbors))
  }


def _median(usages: list[measure.Usage], name: str) -> float:
  return float(np.median([getattr(usage, name) for usage in usages]))


def _main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--folder", required=True)
  parser.add_argument("way", help="product, reference, or how many processes")
  flags = parser.parse_args()
  if not flags.way.isdigit():
    arrays = (
      np.load(os.path.join(flags.folder, n)) for n in (_USERS, _RECORDINGS)
    )
    alone = flags.way == "product"
    print(json.dumps(reference(*arrays, product_alone=alone)))
    return
  events = os.path.join(flags.folder, "events")
  work = os.path.join(flags.folder, "graph")
  counts = listening.mine(
    work,
    sorted(os.path.join(events, name) for name in os.listdir(events)),
    num_workers=int(flags.way),
  )
  shutil.rmtree(work)
  print(json.dumps({"edges": counts["edges"]}))


if __name__ == "__main__":
  _main()
