"""The long part of embedding: files through workers and network to parts."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent import futures

import numpy as np
import tqdm

from music_embed.data.ingestion import window_events, window_pool
from music_embed.data.records import embedded, embedding_parts, schema
from music_embed.serving import embed_batches, embed_plan, inputs
from music_embed.serving import model as model_lib

_BATCH_WINDOWS = 64
_AHEAD_BYTES = 128 << 20
"""Of windows that wait for files before theirs."""

_LABELLED_AT_ONCE = 32
"""Recordings, each of which has a score of every label meanwhile."""

_LONGEST_S = 1e6
"""Headers that promise more audio are not believed."""


def run(
  model: model_lib.Model,
  plan: embed_plan.Plan,
  *,
  directory: str,
  first_number: int,
  maker: embedded.Maker,
  num_workers: int,
  time_limit_s: float,
) -> None:
  """Embeds the files of a plan and writes its parts, in order.

  Args:
    model: of all vectors.
    plan: says which files.
    directory: of the parts.
    first_number: of the first part.
    maker: of the parts.
    num_workers: processes that decode, at most.
    time_limit_s: that decoding may take to the next windows.
  """
  window_bytes = 4 * int(np.prod(model.front_end.window_shape))
  with contextlib.ExitStack() as stack:
    executor = futures.ThreadPoolExecutor(1)
    stack.callback(executor.shutdown, cancel_futures=True)
    pool = stack.enter_context(
      window_pool.WindowPool(
        num_workers=num_workers,
        front_end=model.front_end,
        chunk_windows=_BATCH_WINDOWS,
        max_duration_s=maker.max_duration_s,
        time_limit_s=time_limit_s,
      )
    )
    batches = embed_batches.Batches(
      model.embed_log_mel,
      executor=executor,
      part_sizes=[len(part) for part in plan.parts],
      batch_windows=_BATCH_WINDOWS,
      ahead_windows=_AHEAD_BYTES // window_bytes,
    )
    progress = stack.enter_context(_Progress(plan.items))
    parts = _finished(pool, batches, plan, progress)
    for number, (items, found) in enumerate(
      zip(plan.parts, parts, strict=True), first_number
    ):
      _write(directory, number, maker, items, found, model)


def _finished(
  pool: window_pool.WindowPool,
  batches: embed_batches.Batches,
  plan: embed_plan.Plan,
  progress: _Progress,
) -> Iterator[list[embed_batches.File]]:
  """Files of one part after the other, with all their vectors."""
  paths = (item.source.audio for item in plan.items)
  for event in pool.run(paths, batches.has_room):
    batches.take(event)
    progress.note(event, batches.num_embedded)
    yield from batches.finished(wait=False)
  yield from batches.finished(wait=True)


def _write(
  directory: str,
  number: int,
  maker: embedded.Maker,
  items: Sequence[inputs.Item],
  found: Sequence[embed_batches.File],
  model: model_lib.Model,
) -> None:
  """Writes one part."""
  done, failed, vectors = [], [], []
  for item, file in zip(items, found, strict=True):
    if file.facts is None:
      failed.append(embedded.Rejected(item.source, file.reason))
    else:
      done.append((item, file))
      vectors.append(np.concatenate(file.vectors))
  labels = _labels(model, vectors, maker.labels)
  recordings = [
    _embedded(item, file, rows, named, maker)
    for (item, file), rows, named in zip(done, vectors, labels, strict=True)
  ]
  embedding_parts.write(directory, number, maker, recordings, failed)


def _embedded(
  item: inputs.Item,
  file: embed_batches.File,
  vectors: embed_batches.Array,
  labels: tuple[tuple[str, ...], tuple[float, ...]],
  maker: embedded.Maker,
) -> embedded.Embedded:
  facts = file.facts
  assert facts is not None
  name = os.path.basename(item.source.audio)
  limit_s = maker.max_duration_s
  is_long = limit_s is not None and facts.duration_s >= limit_s
  flags = {
    schema.TRUNCATED: facts.truncated,
    schema.SHORT: facts.short,
    schema.LONG: is_long and not facts.truncated,
    schema.CLIPPED: facts.clipped,
  }
  return embedded.Embedded(
    source=item.source,
    title=item.title or file.header.title or os.path.splitext(name)[0],
    artist=item.artist or file.header.artist or None,
    duration_s=facts.duration_s,
    flags=tuple(flag for flag, is_set in flags.items() if is_set),
    vector=vectors.mean(0, dtype=np.float64).astype(np.float32),
    start_s=np.concatenate(file.start_s),
    window_vectors=vectors,
    labels=labels[0],
    scores=labels[1],
  )


def _labels(
  model: model_lib.Model, vectors: Sequence[embed_batches.Array], top: int
) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
  """The best labels and their scores, for each recording's windows."""
  names = model.label_names
  if names is None or not top:
    yield from (((), ()) for _ in vectors)
    return
  for start in range(0, len(vectors), _LABELLED_AT_ONCE):
    some = vectors[start : start + _LABELLED_AT_ONCE]
    owners = np.repeat(np.arange(len(some)), [len(rows) for rows in some])
    rows, scores = model.label_embeddings(np.concatenate(some), owners, top)
    for best, score in zip(rows.tolist(), scores.tolist(), strict=True):
      yield tuple(names.labels[row] for row in best), tuple(score)


class _Progress:
  """A bar over the bytes of the files, which tell best how long it takes."""

  def __init__(self, items: Sequence[inputs.Item]) -> None:
    self._sizes = [item.source.size_bytes for item in items]
    self._lengths_s: dict[int, float] = {}
    self._shown: dict[int, float] = {}
    self._num_ended = 0
    self._began = time.monotonic()
    self._bar = tqdm.tqdm(
      desc="embed",
      total=sum(self._sizes),
      unit="B",
      unit_scale=True,
    )

  def __enter__(self) -> _Progress:
    return self

  def __exit__(self, *error: object) -> None:
    self._bar.close()

  def note(self, event: window_events.Event, num_embedded: int) -> None:
    """Moves the bar by what an event tells."""
    number = event.number
    if isinstance(event, window_events.Opened):
      self._lengths_s[number] = event.header.length_s
      return
    size = self._sizes[number]
    if isinstance(event, window_events.Ended):
      self._num_ended += 1
      self._lengths_s.pop(number, None)
      self._bar.update(size - self._shown.pop(number, 0.0))
    else:
      length_s = self._lengths_s.get(number, 0.0)
      if 0 < length_s < _LONGEST_S:
        now = size * min(1.0, float(event.start_s[-1]) / length_s)
        self._bar.update(now - self._shown.get(number, 0.0))
        self._shown[number] = now
    rate = num_embedded / max(1e-3, time.monotonic() - self._began)
    self._bar.set_postfix_str(
      f"{self._num_ended:,} of {len(self._sizes):,} files, {rate:,.0f}"
      " windows/s",
      refresh=False,
    )
