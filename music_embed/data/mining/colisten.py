"""The co-listen graph: pairs of recordings that enough users listened to.

Pure functions over blocks of recordings; whoever calls them may spread the
blocks over processes or machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from music_embed.data.mining import capping, graph, sanitize


def colisten_graph(
  users: npt.NDArray[Any],
  recordings: npt.NDArray[Any],
  *,
  user_hashes: npt.NDArray[Any],
  recording_hashes: npt.NDArray[Any],
  options: sanitize.GraphOptions,
) -> tuple[graph.Graph, dict[str, int]]:
  """Mines the graph from listening events.

  Args:
    users: user of each event, integers [events].
    recordings: recording of each event, [events].
    user_hashes: uint64 [users], keyed hash of each user's id.
    recording_hashes: uint64 [recordings], keyed hash of each recording's id;
      decides between pairs of equal counts.
    options: thresholds and caps.

  Returns:
    The graph over the recordings, and what was kept and dropped.
  """
  matrix, counts = sanitize.sanitize(
    users,
    recordings,
    user_hashes=user_hashes,
    recording_hashes=recording_hashes,
    options=options,
  )
  transposed = matrix.T.tocsr()
  edges = [np.empty((0, 3), np.int64)]
  num_pairs = 0
  for block in blocks(matrix, options.max_block_entries):
    found = block_pairs(matrix, transposed, block, options.tau)
    num_pairs += np.count_nonzero(found[:, 0] < found[:, 1])
    edges.append(
      capping.strongest(found, recording_hashes, options.max_neighbors)
    )
  kept = capping.cap_degrees(
    capping.undirected(np.concatenate(edges)),
    recording_hashes,
    options.max_neighbors,
  )
  mined = graph.Graph.from_edges(matrix.shape[1], *kept.T)
  return mined, counts | {
    "colisten_pairs": int(num_pairs),
    "edges": mined.num_edges,
    "edges_dropped_by_cap": int(num_pairs) - mined.num_edges,
    "recordings_with_neighbors": int(np.count_nonzero(mined.degrees)),
  }


def blocks(
  matrix: scipy.sparse.csr_matrix, max_entries: int
) -> Iterator[range]:
  """Cuts the recordings into blocks whose products fit into memory.

  Args:
    matrix: CSR [users, recordings] of ones.
    max_entries: upper bound of a block's product, entries; one recording
      alone may exceed it (by no more than the number of recordings).

  Yields:
    Contiguous ranges of recordings that cover all of them.
  """
  num_recordings = matrix.shape[1]
  lengths = np.diff(matrix.indptr)
  work = np.bincount(
    matrix.indices,
    weights=np.repeat(lengths, lengths),
    minlength=num_recordings,
  )
  total = np.concatenate([[0.0], np.cumsum(np.minimum(work, num_recordings))])
  start = 0
  while start < num_recordings:
    stop = int(np.searchsorted(total, total[start] + max_entries, "right")) - 1
    stop = min(max(stop, start + 1), num_recordings)
    yield range(start, stop)
    start = stop


def block_pairs(
  matrix: scipy.sparse.csr_matrix,
  transposed: scipy.sparse.csr_matrix,
  block: range,
  tau: int,
) -> npt.NDArray[Any]:
  """Pairs of which the first recording lies in the block.

  Args:
    matrix: CSR [users, recordings] of ones.
    transposed: its transpose as CSR.
    block: recordings.
    tau: users that a pair needs.

  Returns:
    int64 [pairs, 3]: recording, other recording, users who listened to both.
  """
  product = transposed[block.start : block.stop] @ matrix
  kept = np.flatnonzero(product.data >= tau)
  # Few entries are kept: finding their rows beats expanding all of them.
  rows = np.searchsorted(product.indptr, kept, side="right") - 1 + block.start
  columns = product.indices[kept].astype(np.int64)
  pairs = np.stack([rows, columns, product.data[kept]], axis=1)
  return pairs[rows != columns]
