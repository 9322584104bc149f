"""Label heads of 100 K and 1 M labels: seconds a step, and peak memory.

The head alone, on fixed embeddings: loss, gradients, Adam. Every way runs in
processes of its own, so that their peak memory is its own; ways take turns. At
1 M labels the two ways of two processes hold 16 GB between them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tools.performance import measure

LABELS = {"100k": 100_000, "1m": 1_000_000}
_ROUNDS = 9
STEPS = {"100k": 8, "1m": 1}
"""Steps of a turn."""
BATCH, DIM, LABELS_EACH = 132, 128, 10
_WAYS = {"dense": 1, "one_block": 1, "blocks": 1, "replicated": 2, "sharded": 2}
"""Processes of each way."""
_COMPARISONS = (
  ("dense", "blocks"),
  ("one_block", "blocks"),
  ("replicated", "sharded"),
)


def figures(scratch: str) -> list[measure.Figure]:
  """Times and memory beside the way that each is to replace."""
  del scratch
  found = []
  for size in LABELS:
    times: dict[str, float] = {}
    peaks: dict[str, int] = {}
    for processes in (1, 2):
      ways = [way for way, number in _WAYS.items() if number == processes]
      with contextlib.ExitStack() as stack:
        running = {
          way: stack.enter_context(started(__name__, (way, size), processes))
          for way in ways
        }
        turns: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(_ROUNDS):
          for way in ways:
            turns[way].append(ask(running[way], STEPS[size]) / STEPS[size])
        for way in ways:
          times[way] = statistics.median(turns[way])
          peaks[way] = int(ask(running[way], 0))
          measure.say(
            f"  {size} {way}: {times[way]:.3f} s "
            f"({min(turns[way]):.3f} to {max(turns[way]):.3f}), "
            f"{peaks[way] / 1e9:.2f} GB a process"
          )
    for before, after in _COMPARISONS:
      found += [
        measure.Figure.beside(
          f"head_{size}_{before}_step",
          times[before],
          "s/step",
          after,
          times[after],
        ),
        measure.Figure.beside(
          f"head_{size}_{after}_memory_beside_{before}",
          peaks[after] / 1e9,
          "GB",
          before,
          peaks[before] / 1e9,
        ),
      ]
  return found


@contextlib.contextmanager
def started(
  module: str, arguments: Sequence[str], processes: int = 1
) -> Iterator[list[subprocess.Popen[str]]]:
  """Processes that `serve`, warmed up; ended on leaving.

  Args:
    module: dotted name of theirs.
    arguments: of their command line.
    processes: that train together.
  """
  addresses = [f"localhost:{port}" for port in _free_ports(processes)]
  running: list[subprocess.Popen[str]] = []
  try:
    for index in range(processes):
      environment = measure.environment() | {
        "TF_CONFIG": json.dumps(
          {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
          }
        )
      }
      running.append(
        subprocess.Popen(
          [sys.executable, "-m", module, *arguments],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          text=True,
          env=environment,
        )
      )
    _answers(running)
    yield running
  finally:
    for process in running:
      process.kill()
      process.wait()


def ask(running: Sequence[subprocess.Popen[str]], steps: int) -> float:
  """Seconds that so many steps take; for 0, peak bytes of a process."""
  for process in running:
    assert process.stdin is not None
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
  return max(_answers(running))


def _answers(running: Sequence[subprocess.Popen[str]]) -> list[float]:
  answers = []
  for process in running:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
      raise RuntimeError(f"{process.args!r} failed")
    answers.append(float(line))
  return answers


def _free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for each in sockets:
      each.bind(("localhost", 0))
    return [each.getsockname()[1] for each in sockets]


def _serve(way: str, size: str) -> None:
  """Runs steps of one way as lines of standard input ask for them."""
  import tensorflow as tf

  processes = _WAYS[way]
  threads = max((os.cpu_count() or 1) // processes, 1)
  tf.config.threading.set_intra_op_parallelism_threads(threads)
  if processes > 1:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
  else:
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
  with strategy.scope():
    replica_step = _replica_step(way, LABELS[size])
  embeddings, label_ids = _inputs(LABELS[size], processes)

  step = tf.function(
    lambda: strategy.run(replica_step, args=(embeddings, label_ids))
  )

  def run(steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
      # Both are asked for, so that TensorFlow leaves out neither.
      results = strategy.experimental_local_results(step())
      assert float(results[0][0]) > 0.0  # Waits, too.
    return time.perf_counter() - began

  serve(run)


def serve(run: Callable[[int], float]) -> None:
  """Runs steps as lines of standard input ask for them.

  Args:
    run: takes so many steps; gives their seconds.
  """
  print(run(2), flush=True)
  for line in sys.stdin:
    steps = int(line)
    print(run(steps) if steps else measure.peak_memory(), flush=True)


def _inputs(num_labels: int, processes: int) -> tuple[Any, Any]:
  """A process's share of unit embeddings, and label ids."""
  import numpy as np
  import tensorflow as tf

  rng = np.random.default_rng(0)
  embeddings = rng.normal(size=(BATCH, DIM)).astype(np.float32)
  embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
  ids = rng.integers(0, num_labels, (BATCH, LABELS_EACH), np.int32)
  own = slice(0, BATCH // processes)
  return tf.constant(embeddings[own]), tf.constant(ids[own])


def _replica_step(way: str, num_labels: int) -> Callable[[Any, Any], Any]:
  """A training step of one way: embeddings and ids -> loss, gradient."""
  import tensorflow as tf
  import tf_keras

  from music_embed.models.heads import label_softmax as plain_head
  from music_embed.models.heads import sharded_label_softmax as sharded_head
  from music_embed.objectives import label_softmax, sharded_label_softmax
  from music_embed.training import optimizers, sharded_adam

  shape = tf.TensorShape([None, DIM])
  if way in ("one_block", "blocks", "sharded"):
    sharded = sharded_head.ShardedLabelSoftmaxHead(
      num_labels=num_labels, num_blocks=1 if way == "one_block" else None
    )
    sharded.build(shape)
    sharded.updater = sharded_adam.ShardedAdam(
      sharded, optimizers.PartOptimizer(("label_head",), 1e-4)
    )
    own_objective = sharded_label_softmax.ShardedLabelSoftmaxObjective()

    def own_step(embedding: Any, label_ids: Any) -> Any:
      sharded.updater.begin_step()
      with tf.GradientTape() as tape:
        tape.watch(embedding)
        loss, _ = own_objective.from_embeddings(
          sharded, embedding, label_ids, training=True
        )
      return loss, tape.gradient(loss, embedding)

    return own_step

  head = plain_head.LabelSoftmaxHead(num_labels=num_labels)
  head.build(shape)
  optimizer = tf_keras.optimizers.Adam(1e-4)
  optimizer.build(head.trainable_variables)
  objective = label_softmax.LabelSoftmaxObjective()

  def loss_of(embedding: Any, label_ids: Any) -> Any:
    if way != "dense":
      return objective.from_logits(head(embedding), label_ids)[0]
    rows = tf.broadcast_to(tf.range(BATCH)[:, tf.newaxis], label_ids.shape)
    targets = tf.scatter_nd(
      tf.stack([rows, label_ids], axis=-1),
      tf.fill(label_ids.shape, 1.0 / LABELS_EACH),
      [BATCH, num_labels],
    )
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, head(embedding))
    return tf.reduce_mean(losses)

  def step(embedding: Any, label_ids: Any) -> Any:
    variables = head.trainable_variables
    with tf.GradientTape() as tape:
      tape.watch(embedding)
      loss = loss_of(embedding, label_ids)
    d_embedding, *gradients = tape.gradient(loss, [embedding, *variables])
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss, d_embedding

  return step


if __name__ == "__main__":
  parser = argparse.ArgumentParser()
  parser.add_argument("way", choices=sorted(_WAYS))
  parser.add_argument("size", choices=sorted(LABELS))
  flags = parser.parse_args()
  _serve(flags.way, flags.size)
