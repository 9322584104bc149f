"""What embedding is measured beside, each in a process of its own.

Prints one line of JSON: windows, wall_s and cpu_s, the start left out.

  python -m tools.performance.embedding_child decode FILE...
  python -m tools.performance.embedding_child network EXPORT SECONDS
  python -m tools.performance.embedding_child librosa EXPORT FILE...
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from music_embed.core import types

BATCH_WINDOWS = 64


def main(arguments: Sequence[str]) -> None:
  """Measures what the first argument names."""
  steps: dict[str, Callable[..., Iterator[int]]] = {
    "decode": _decode,
    "network": _network,
    "librosa": _librosa,
  }
  work = steps[arguments[0]](*arguments[1:])
  next(work)  # All is loaded and warm.
  print(json.dumps({"ready": True}), flush=True)
  sys.stdin.readline()
  windows, began, cpu = 0, time.monotonic(), time.process_time()
  for count in work:
    windows += count
  found = {
    "windows": windows,
    "wall_s": time.monotonic() - began,
    "cpu_s": time.process_time() - cpu,
  }
  print(json.dumps(found), flush=True)
  os._exit(0)


def _decode(*paths: str) -> Iterator[int]:
  """Log-mel windows of files, as a worker makes them, and thrown away."""
  from music_embed.audio import streaming

  for path in (paths[0], *paths):
    stream = streaming.log_mel_windows(
      path, types.LogMelFrontEnd(), chunk_windows=BATCH_WINDOWS
    )
    yield sum(len(chunk.log_mel) for chunk in stream)


def _network(directory: str, seconds: str) -> Iterator[int]:
  """The network alone, on full batches that lie in memory."""
  from music_embed.serving import model

  network = model.Model(directory)
  shape = (BATCH_WINDOWS, *network.front_end.window_shape)
  windows = np.random.default_rng(0).normal(-1, 1.5, shape).astype(np.float32)
  for _ in range(3):
    network.embed_log_mel(windows)
  yield 0
  began = time.monotonic()
  while time.monotonic() - began < float(seconds):
    network.embed_log_mel(windows)
    yield BATCH_WINDOWS


def _librosa(directory: str, *paths: str) -> Iterator[int]:
  """A user's usual script: librosa.load, then the SavedModel, file by file."""
  import librosa
  import tensorflow as tf

  embed = tf.saved_model.load(directory).signatures["embed"]
  for path in (paths[0], *paths):
    waveform, _ = librosa.load(path, sr=16_000)
    outputs = embed(waveform=tf.constant(waveform))
    yield len(outputs["window_embeddings"].numpy())


if __name__ == "__main__":
  main(sys.argv[1:])
