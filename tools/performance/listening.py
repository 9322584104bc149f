"""A large listening log, drawn at random, as arrays, segments or csv."""

from __future__ import annotations

import gzip
import os

import numpy as np
import numpy.typing as npt

from music_embed.core import files
from music_embed.data.engines import local, segments
from music_embed.data.mining import graph_job, graph_plan, hashing, sanitize

NUM_EVENTS = 10_000_000
NUM_USERS = 200_000
NUM_RECORDINGS = 100_000

_EXPONENT = 0.8
_FLAT_RANKS = 30
_ACTIVITY_SHAPE = 3.0


def draw(
  *,
  num_events: int = NUM_EVENTS,
  num_users: int = NUM_USERS,
  num_recordings: int = NUM_RECORDINGS,
  seed: int = 0,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
  """Draws listening events.

  Users differ in activity by a gamma distribution, recordings in popularity
  by Zipf's law with a flattened head; which recording is how popular is
  random. With the defaults some 280 M pairs of recordings share a listener,
  counted once a listener.

  Args:
    num_events: events, in random order.
    num_users: users.
    num_recordings: recordings.
    seed: of the draw.

  Returns:
    User and recording of each event, int32 [events] each.
  """
  rng = np.random.default_rng(seed)
  activity = rng.gamma(_ACTIVITY_SHAPE, size=num_users)
  ranks = np.arange(num_recordings) + _FLAT_RANKS
  popularity = rng.permutation(ranks.astype(np.float64) ** -_EXPONENT)
  drawn = []
  for weights in (activity, popularity):
    total = np.cumsum(weights)
    found = np.searchsorted(total, rng.random(num_events) * total[-1])
    drawn.append(found.astype(np.int32))
  return drawn[0], drawn[1]


def user_hashes(num_users: int) -> npt.NDArray[np.uint64]:
  """Keyed hash of each user's id, uint64 [users]."""
  hashes = (hashing.hash64(0, "user", str(user)) for user in range(num_users))
  return np.fromiter(hashes, np.uint64, num_users)


def recording_hashes(num_recordings: int) -> npt.NDArray[np.uint64]:
  """Keyed hash of each recording's id, uint64 [recordings]."""
  hashes = (
    hashing.hash64(0, "recording", str(recording))
    for recording in range(num_recordings)
  )
  return np.fromiter(hashes, np.uint64, num_recordings)


def write_segments(
  folder: str,
  users: npt.NDArray[np.int32],
  recordings: npt.NDArray[np.int32],
  *,
  num_users: int = NUM_USERS,
  num_parts: int = 4,
) -> list[str]:
  """Writes events as prepare leaves them when it has read a log.

  Args:
    folder: where to; created.
    users: int32 [events].
    recordings: int32 [events].
    num_users: users.
    num_parts: parts of the log.

  Returns:
    The segments' paths.
  """
  files.make_dirs(folder)
  hashes = user_hashes(num_users)
  paths = []
  for part, rows in enumerate(np.array_split(np.arange(len(users)), num_parts)):
    paths.append(os.path.join(folder, f"events-{part:06d}"))
    with segments.writing(
      paths[-1], graph_plan.EVENT, graph_plan.USER_PARTITIONS
    ) as writer:
      graph_job.write_events(writer, hashes[users[rows]], recordings[rows])
  return paths


def write_csv(
  path: str,
  users: npt.NDArray[np.int32],
  recordings: npt.NDArray[np.int32],
) -> None:
  """Writes events as a listening log, csv or csv.gz by the path's end."""
  opener = gzip.open if path.endswith(".gz") else open
  with opener(path, "wt", encoding="utf-8") as file:
    file.write("user_id,recording_id\n")
    for start in range(0, len(users), 100_000):
      part = slice(start, start + 100_000)
      rows = zip(users[part].tolist(), recordings[part].tolist(), strict=True)
      file.writelines(f"{user},{recording}\n" for user, recording in rows)


def mine(
  folder: str,
  events: list[str],
  *,
  num_workers: int,
  num_recordings: int = NUM_RECORDINGS,
) -> dict[str, int]:
  """Mines the graph of the segments with the defaults of prepare.

  Args:
    folder: for the files between tasks; created, must not be of an earlier
      call.
    events: of `write_segments`.
    num_workers: processes.
    num_recordings: recordings.

  Returns:
    What was kept and dropped.
  """
  job = graph_plan.Job(
    folder=folder,
    num_recordings=num_recordings,
    vertices_per_shard=100_000,
    options=sanitize.GraphOptions(),
    sizes=graph_plan.Sizes(),
  )
  with local.LocalEngine(num_workers) as engine:
    return graph_job.mine(
      engine,
      events,
      job,
      recording_hashes=recording_hashes(num_recordings),
      indices=np.arange(num_recordings, dtype=np.int32),
    )
