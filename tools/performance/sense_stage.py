"""The sense stage with up to a million labels, beside dense targets.

  tools/perf.py senses --only=sense_stage

The stage is what `gin/systems/huang2020/sense.gin` trains: batches of 132
embeddings from a memory-mapped store, the trainer, the sharded head in one
process, its Adam. Beside it stands `tools.performance.head`'s "dense": a plain
head on one-hot targets, [132, labels], with Keras's Adam, whose embeddings and
label ids are constants. Their turns alternate; memory is each process's own.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import tempfile
import time
from typing import Any

from tools.performance import head, measure

_ROUNDS = 7
_RECORDINGS, _ROWS_EACH = 20_000, 10
_REFERENCE = "dense"


def figures(scratch: str) -> list[measure.Figure]:
  """Examples a second and peak memory for each size of vocabulary."""
  found = []
  for size in head.LABELS:
    with (
      tempfile.TemporaryDirectory(dir=scratch) as folder,
      contextlib.ExitStack() as stack,
    ):
      running = {
        "stage": stack.enter_context(head.started(__name__, (size, folder))),
        _REFERENCE: stack.enter_context(
          head.started(head.__name__, (_REFERENCE, size))
        ),
      }
      steps = head.STEPS[size]
      turns: dict[str, list[float]] = {way: [] for way in running}
      for _ in range(_ROUNDS):
        for way, processes in running.items():
          turns[way].append(head.ask(processes, steps) / steps)
      peaks = {way: head.ask(each, 0) for way, each in running.items()}
    times = {way: statistics.median(each) for way, each in turns.items()}
    for way, each in turns.items():
      measure.say(
        f"  {size} {way}: {times[way]:.3f} s a step ({min(each):.3f} to"
        f" {max(each):.3f}), {peaks[way] / 1e9:.2f} GB"
      )
    found += [
      measure.Figure.beside(
        f"sense_stage_{size}_examples",
        head.BATCH / times["stage"],
        "examples/s",
        _REFERENCE,
        head.BATCH / times[_REFERENCE],
      ),
      measure.Figure.beside(
        f"sense_stage_{size}_memory",
        peaks["stage"] / 1e9,
        "GB",
        _REFERENCE,
        peaks[_REFERENCE] / 1e9,
      ),
    ]
  return found


def _serve(size: str, folder: str) -> None:
  """Runs steps of the stage as lines of standard input ask for them."""
  import tensorflow as tf

  from music_embed.data.pipeline import embedded, sampling
  from music_embed.models.heads import sharded_label_softmax
  from music_embed.runs import head_fit

  tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count() or 1)
  store, indptr, indices = _material(head.LABELS[size], folder)
  steps = embedded.embedded_steps(
    store,
    draw=sampling.RecordingDraw(indptr[:-1] // head.LABELS_EACH),
    targets=head_fit.label_targets(indptr, indices, head.LABELS_EACH),
    batch=head.BATCH,
    seed=0,
  )
  layer = sharded_label_softmax.ShardedLabelSoftmaxHead(
    num_labels=head.LABELS[size]
  )
  layer.build(tf.TensorShape([None, head.DIM]))
  runner = head_fit.trainer_of(
    layer, steps, head_fit.FitOptions(batch=head.BATCH, decays=False), 0
  )

  def run(steps: int) -> float:
    began = time.perf_counter()
    runner.train(tf.constant(steps))
    loss = runner.take_sums()["label_softmax/loss"]  # Waits, too.
    assert math.isfinite(loss)
    return time.perf_counter() - began

  head.serve(run)


def _material(num_labels: int, folder: str) -> Any:
  """A memory-mapped store, and recordings' labels as a CSR."""
  import numpy as np

  from music_embed.data.records import embedding_store

  rng = np.random.default_rng(0)
  rows_each = np.full(_RECORDINGS, _ROWS_EACH)
  writer = embedding_store.Writer(
    folder, key={"dataset": "synthetic"}, rows_each=rows_each
  )
  shape = (_RECORDINGS * _ROWS_EACH, head.DIM)
  vectors = rng.standard_normal(shape, np.float32)
  vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
  writer.write(_RECORDINGS, vectors)
  shape = (_RECORDINGS, head.LABELS_EACH)
  indices = np.sort(rng.integers(0, num_labels, shape, np.int32), axis=1)
  indptr = np.arange(_RECORDINGS + 1) * head.LABELS_EACH
  return writer.finish(), indptr, indices.ravel()


if __name__ == "__main__":
  parser = argparse.ArgumentParser()
  parser.add_argument("size", choices=sorted(head.LABELS))
  parser.add_argument("folder")
  flags = parser.parse_args()
  _serve(flags.size, flags.folder)
