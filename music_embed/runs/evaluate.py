"""Evaluates trained networks beside baselines: `launch/evaluate.py`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from music_embed.audio import statistics, windows
from music_embed.core import errors, files, seeds
from music_embed.data.mining import factorize
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import prepared, quantize
from music_embed.evaluation import (
  baselines,
  label_prediction,
  report,
  tables,
  topic_map,
)
from music_embed.evaluation.arrays import Array
from music_embed.evaluation.page import page
from music_embed.evaluation.systems import Parts, System
from music_embed.models import embedder as embedder_lib
from music_embed.models import inference
from music_embed.runs import restore
from music_embed.training import history

_RESERVED = ("random", "audio_statistics", "ridge", "untrained", "wmf")

Say = Callable[[str], None]


def evaluate(
  *,
  dataset: str,
  models: Mapping[str, str],
  output: str,
  seed: int = 0,
  num_bootstrap: int = 1_000,
  min_occurrences: int = 10,
  max_recordings: int = 10_000,
  max_train_recordings: int = 20_000,
  num_factors: int = 64,
  batch_windows: int = 128,
  checkpoint: str = "best",
) -> dict[str, Any]:
  """Writes report.json and report.html, and prints the table.

  Args:
    dataset: directory that `launch/prepare.py` wrote.
    models: working directories of training runs, by system name; "hybrid",
      or else the last, gives the architecture of `untrained` and the map.
    output: directory of the report.
    seed: of draws, resamples, factorisations and the untrained network.
    num_bootstrap: resamples; the cost grows with the square of the
      recordings (180: a second; 2,500: minutes).
    min_occurrences: labels that occur less often in the evaluation part are
      left out.
    max_recordings: of the validation and of the evaluation part (the paper:
      10,000); more are sampled.
    max_train_recordings: of the training part, which serves z-scores, probes
      and the ridge.
    num_factors: dimensions of WMF vectors.
    batch_windows: windows a step of inference.
    checkpoint: "best" by validation, or "last".

  Returns:
    What report.json holds.

  Raises:
    ConfigError: no model, a baseline's name for a model, or a directory
      without a run.
    DataError: the dataset is missing, or its evaluation part has no edges.
  """
  started = time.monotonic()
  _check(models)
  data = prepared.PreparedDataset(dataset)
  recordings = sampled_recordings(
    data, max_recordings, max_train_recordings, seed
  )
  labels = _labels(data, recordings, min_occurrences)
  systems = _baselines(data, recordings, num_factors, seed)
  main = "hybrid" if "hybrid" in models else list(models)[-1]
  untrained = restore.untrained_embedder(models[main], data, seed)
  networks = {"untrained": untrained} | {
    name: restore.load_embedder(workdir, data, checkpoint=checkpoint)
    for name, workdir in models.items()
  }
  for name, network in networks.items():
    systems[name] = _network(
      data,
      network,
      recordings,
      labels.label_ids if name in models else None,
      name=name,
      batch_windows=batch_windows,
    )
  graph = data.graph("evaluation")
  material = report.Material(
    systems=systems,
    edges=local_edges(graph, recordings.evaluation),
    artists=[data.artists[index] for index in recordings.evaluation],
    labels=labels,
  )
  measured = report.measure(
    material, num_bootstrap=num_bootstrap, seed=seed, say=_say
  )
  measured["dataset"] = _counts(data, recordings, labels, material.edges)
  measured["models"] = dict(models)
  measured["settings"] = {
    "seed": seed,
    "min_occurrences": min_occurrences,
    "num_factors": num_factors,
    "checkpoint": checkpoint,
  }
  points = topic_map.topic_map(
    systems[main].embeddings.evaluation,
    labels.positive,
    [data.vocabulary[label] for label in labels.label_ids],
    [data.titles[index] for index in recordings.evaluation],
    seed=seed,
  )
  measured["map_of"] = main
  curves = {
    name: history.read(files.join(workdir, "history.jsonl"))
    for name, workdir in models.items()
  }
  measured["seconds"] = round(time.monotonic() - started, 1)
  _write(output, measured, page.render(measured, curves, points))
  print(tables.summary(measured), flush=True)
  return measured


def sampled_recordings(
  data: prepared.PreparedDataset, part: int, train: int, seed: int
) -> Parts:
  """Indices of the recordings that are evaluated: int64, sorted, by part.

  Args:
    data: the dataset.
    part: the most of validation and of evaluation.
    train: the most of the training part.
    seed: of the draw, where there are more.
  """

  def draw(split: str, most: int) -> Array:
    indices = np.arange(data.num_recordings)[_slice(data.split_range(split))]
    if len(indices) <= most:
      return indices
    random = seeds.generator(seed, f"evaluate/{split}")
    return np.sort(random.choice(indices, most, replace=False))

  return Parts(
    draw("train", train), draw("validation", part), draw("evaluation", part)
  )


def local_edges(graph: graph_lib.Graph, recordings: Array) -> Array:
  """Edges among chosen recordings, by their positions in `recordings`.

  Args:
    graph: over global indices.
    recordings: int64 `[recordings]`, sorted.

  Returns:
    int64 `[edges, 2]`, i < j.
  """
  position = np.full(graph.num_vertices, -1, np.int64)
  position[recordings] = np.arange(len(recordings))
  edges = position[graph.pairs()]
  return edges[(edges >= 0).all(axis=1)]


def _slice(indices: range) -> slice:
  return slice(indices.start, indices.stop)


def _labels(
  data: prepared.PreparedDataset, recordings: Parts, min_occurrences: int
) -> label_prediction.LabelTask:
  indptr, indices = data.labels_csr
  targets = recordings.map(
    lambda rows: label_prediction.targets_of(
      indptr, indices, rows, len(data.vocabulary)
    )
  )
  return label_prediction.label_task(targets, min_occurrences=min_occurrences)


def _baselines(
  data: prepared.PreparedDataset,
  recordings: Parts,
  num_factors: int,
  seed: int,
) -> dict[str, System]:
  """Random, audio statistics, ridge and WMF."""

  def statistics_of(index: int) -> Array:
    stored = data.log_mel(index)
    return statistics.statistics(quantize.dequantize(stored, data.quantization))

  def factors_of(split: str | None) -> Array:
    return factorize.factorize(
      data.graph(split), num_factors=num_factors, seed=seed
    )

  _say("baselines: audio statistics")
  features = baselines.audio_statistics(recordings, statistics_of)
  _say("baselines: matrix factorisation and ridge")
  whole = factors_of(None)
  predicted, strength = baselines.ridge_to_factors(
    features,
    factors_of("train")[recordings.train],
    local_edges(data.graph("validation"), recordings.validation),
  )
  return {
    "random": System(
      baselines.random_embeddings(recordings, seed=seed),
      description="Gaussian vectors",
    ),
    "audio_statistics": System(
      features, description="means and deviations of MFCCs and log-mels"
    ),
    "ridge": System(
      predicted,
      description="ridge regression from audio_statistics to the WMF vectors "
      f"of the training graph (penalty {strength:g})",
    ),
    "wmf": System(
      recordings.map(lambda rows: whole[rows]),
      description="matrix factorisation of the whole graph, evaluation "
      "edges included: an upper bound",
    ),
  }


def _network(
  data: prepared.PreparedDataset,
  network: embedder_lib.Embedder,
  recordings: Parts,
  label_ids: Array | None,
  *,
  name: str,
  batch_windows: int,
) -> System:
  """Embeds all parts; scores labels where the network has a trained head."""
  has_head = network.label_head is not None
  scored = label_ids.tolist() if label_ids is not None and has_head else []
  run = inference.RecordingEmbedder(
    network,
    batch_windows=batch_windows,
    to_log_mel=lambda x: quantize.dequantize_tf(x, data.quantization),
    label_ids=scored or None,
  )
  begun = time.monotonic()
  parts = [run(_windows(data, rows)) for rows in recordings]
  num_windows = sum(int(part.num_windows.sum()) for part in parts)
  elapsed = time.monotonic() - begun
  _say(
    f"{name}: {num_windows:,} windows embedded in {elapsed:.0f} s "
    f"({num_windows / elapsed:,.0f} windows/s)"
  )
  kind = "trained network" if name != "untrained" else "random weights"
  backbone = type(network.backbone).__name__
  return System(
    Parts(*(part.embeddings for part in parts)),
    parts[-1].label_scores,
    f"{backbone}, {kind}",
  )


def _windows(
  data: prepared.PreparedDataset, recordings: Array
) -> Iterator[Array]:
  """All windows of each recording, uint8 `[windows, frames, bins]`."""
  for index in recordings.tolist():
    starts = windows.window_starts(
      int(data.num_frames[index]), data.front_end.window_frames
    )
    yield data.windows(np.full(len(starts), index), starts)


def _counts(
  data: prepared.PreparedDataset,
  recordings: Parts,
  labels: label_prediction.LabelTask,
  edges: Array,
) -> dict[str, Any]:
  return {
    "recordings": dict(data.manifest.splits),
    "evaluated": {
      "train": len(recordings.train),
      "validation": len(recordings.validation),
      "evaluation": len(recordings.evaluation),
    },
    "evaluation_edges": len(edges),
    "edges": data.graph(None).num_edges,
    "train_edges": data.graph("train").num_edges,
    "vocabulary": len(data.vocabulary),
    "labels": len(labels.label_ids),
    "artists": len({artist for artist in data.artists if artist}),
  }


def _check(models: Mapping[str, str]) -> None:
  if not models:
    raise errors.ConfigError(
      "--model is required and not set: give one NAME=WORKDIR or more"
    )
  for name in models:
    if name in _RESERVED:
      raise errors.ConfigError(
        f"--model={name}=...: {name!r} is a baseline; choose another name"
      )


def _write(output: str, measured: Mapping[str, Any], html: str) -> None:
  files.make_dirs(output)
  files.write_json(files.join(output, "report.json"), measured)
  with files.atomic_write(files.join(output, "report.html"), "w") as file:
    file.write(html)


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
