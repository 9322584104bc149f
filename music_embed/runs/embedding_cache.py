"""Embeddings of a dataset by a run's network, computed once."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras
import tqdm

from music_embed.audio import windows as windows_lib
from music_embed.core import errors, files
from music_embed.data.records import embedding_store, prepared
from music_embed.models import embedder as embedder_lib
from music_embed.models import inference
from music_embed.runs import restore, validation
from music_embed.runs import workdir as workdir_lib
from music_embed.training import interruption
from music_embed.training import workers as workers_lib

PARTS = ("backbone", "projection")
"""The parts of a network that make its embeddings."""
_FOLDER = "embeddings"
_BATCHES_OF_PART = 32


@dataclasses.dataclass(frozen=True)
class CachedEmbeddings:
  """How a stage keeps the embeddings of its frozen network.

  Attributes:
    granularity: "windows", or "recordings" for the plain means of theirs.
    directory: where they lie; None: in the run's directory. Stages on the
      same network may share one.
    batch_windows: windows of one network call.
  """

  granularity: str = embedding_store.WINDOWS
  directory: str | None = None
  batch_windows: int = 128

  def __post_init__(self) -> None:
    if self.granularity not in embedding_store.GRANULARITIES:
      raise errors.ConfigError(
        f"CachedEmbeddings.granularity={self.granularity!r}: one of "
        f"{', '.join(embedding_store.GRANULARITIES)}"
      )
    if self.directory is not None:
      files.require_local(self.directory, "CachedEmbeddings.directory")

  def folder(self, workdir: str) -> str:
    """Where the embeddings of a run lie."""
    return self.directory or files.join(workdir, _FOLDER)


def ensure(
  directory: str,
  *,
  model: str,
  data: prepared.PreparedDataset,
  granularity: str = embedding_store.WINDOWS,
  checkpoint: str = "best",
  batch_windows: int = 128,
  say: Callable[[str], None] = workdir_lib.say,
) -> embedding_store.EmbeddingStore:
  """Embeds all recordings by a run's network, unless that was done before.

  Args:
    directory: of the embeddings; those of an interrupted call are gone on
      with.
    model: directory of the run.
    data: the dataset that it was trained on.
    granularity: "windows" or "recordings".
    checkpoint: as for `restore.load_embedder`.
    batch_windows: windows of one network call.
    say: told what is being done.

  Raises:
    ConfigError: there is no such run, or the directory holds the embeddings
      of another network or dataset.
    DataError: the dataset or the embeddings are damaged.
  """
  options = CachedEmbeddings(granularity, directory, batch_windows)
  workdir_lib.check_dataset(model, data)
  key = key_of(data, restore.checkpoint_of(model, checkpoint), granularity)
  found = embedding_store.find(directory, key)
  if found is not None:
    return found
  network = restore.load_embedder(model, data, checkpoint)
  return fill(directory, key, network, data, options=options, say=say)


def key_of(
  data: prepared.PreparedDataset, checkpoint: str, granularity: str
) -> dict[str, Any]:
  """What decides the embeddings.

  Args:
    data: what is embedded.
    checkpoint: prefix of a checkpoint of the network.
    granularity: "windows" or "recordings".
  """
  return {
    "dataset": data.fingerprint,
    "network": network_sha256(checkpoint),
    "granularity": granularity,
    "precision": tf_keras.mixed_precision.global_policy().name,
  }


def network_sha256(checkpoint: str) -> str:
  """SHA-256 of the weights that make a network's embeddings.

  The same in every checkpoint that holds them, of whichever run.

  Args:
    checkpoint: prefix of a checkpoint.

  Raises:
    ConfigError: it holds no such network.
  """
  reader = tf.train.load_checkpoint(checkpoint)
  prefixes = tuple(f"parts/{part}/" for part in PARTS)
  names = sorted(
    name
    for name in reader.get_variable_to_shape_map()
    if name.startswith(prefixes) and ".OPTIMIZER_SLOT" not in name
  )
  if not names:
    raise errors.ConfigError(
      f"{checkpoint}: holds no network ({', '.join(PARTS)})"
    )
  digest = hashlib.sha256()
  for name in names:
    value = np.asarray(reader.get_tensor(name))
    digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
    digest.update(value.tobytes())
  return digest.hexdigest()


def rows_each(
  data: prepared.PreparedDataset, granularity: str
) -> npt.NDArray[np.int64]:
  """Rows of each recording in a store, int64 [recordings]."""
  num_rows = np.asarray(data.num_rows)
  if granularity == embedding_store.RECORDINGS:
    return np.ones(len(num_rows), np.int64)
  length = data.front_end.window_rows
  lengths, which = np.unique(num_rows, return_inverse=True)
  counts = [len(windows_lib.window_starts(int(n), length)) for n in lengths]
  return np.asarray(counts, np.int64)[which]


def fill(
  directory: str,
  key: dict[str, Any],
  network: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  *,
  options: CachedEmbeddings,
  strategy: tf.distribute.Strategy | None = None,
  workers: workers_lib.Workers | None = None,
  should_stop: Callable[[], bool] = lambda: False,
  say: Callable[[str], None] = workdir_lib.say,
) -> embedding_store.EmbeddingStore:
  """Embeds the recordings that a store lacks yet; a collective of workers.

  Recordings are embedded in parts that only the dataset and the options
  decide, so that one that goes on gives the same bytes.

  Args:
    directory: of the store, which all workers share.
    key: see `key_of`.
    network: built, with the weights that `key` names.
    data: what is embedded.
    options: granularity and batch.
    strategy: the one that the network was built in; None for none.
    workers: of the strategy; the chief writes.
    should_stop: asked between parts; only where there is one worker.
    say: told what is being done.

  Raises:
    Stopped: it was asked to; what is done is kept.
  """
  with contextlib.ExitStack() as stack:
    workers = workers or workers_lib.Workers()
    if workers.is_chief:
      files.make_dirs(directory)
      lock = files.join(directory, "lock")
      stack.enter_context(files.exclusive(lock, directory))
    _fill(
      directory,
      key,
      network,
      data,
      options,
      strategy,
      workers,
      should_stop,
      say,
    )
    workers.any(False)  # Nobody reads before the chief has written.
  return embedding_store.load(directory, key["dataset"])


def _fill(
  directory: str,
  key: dict[str, Any],
  network: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  options: CachedEmbeddings,
  strategy: tf.distribute.Strategy | None,
  workers: workers_lib.Workers,
  should_stop: Callable[[], bool],
  say: Callable[[str], None],
) -> None:
  each = rows_each(data, options.granularity)
  windows = rows_each(data, embedding_store.WINDOWS)
  writer = None
  if workers.is_chief:
    writer = embedding_store.Writer(directory, key=key, rows_each=each)
  done = workers.extremes(writer.done if writer is not None else 0)[1]
  runner = validation.recording_embedder(
    network, data, batch_windows=options.batch_windows, strategy=strategy
  )
  total = int(windows.sum())
  if workers.is_chief:
    say(f"{directory}: embedding {total:,} windows of all recordings")
  hidden = {} if workers.is_chief else {"disable": True}
  with tqdm.tqdm(
    desc="embed",
    unit="window",
    total=total,
    initial=int(windows[:done].sum()),
    **hidden,
  ) as bar:
    for first, last in _parts(windows, options.batch_windows):
      if last <= done:
        continue
      if workers.count == 1 and should_stop():
        raise interruption.Stopped
      rows = _rows(runner, data, range(first, last), options.granularity)
      if writer is not None:
        writer.write(last - first, rows)
      bar.update(int(windows[first:last].sum()))
  if writer is not None:
    writer.finish()


def _parts(
  windows: npt.NDArray[np.int64], batch_windows: int
) -> list[tuple[int, int]]:
  """Ranges of recordings of about so many batches each."""
  part = (np.cumsum(windows) - windows) // (batch_windows * _BATCHES_OF_PART)
  cuts = np.flatnonzero(np.diff(part)) + 1
  return list(itertools.pairwise([0, *cuts.tolist(), len(windows)]))


def _rows(
  runner: inference.RecordingEmbedder,
  data: prepared.PreparedDataset,
  recordings: range,
  granularity: str,
) -> npt.NDArray[Any]:
  windows = validation.all_windows(data, recordings)
  if granularity == embedding_store.RECORDINGS:
    return runner(windows).embeddings
  return runner.windows(windows)
