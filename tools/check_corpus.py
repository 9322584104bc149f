"""Measures how hard a synthetic corpus is; needs no TensorFlow.

    python tools/check_corpus.py demo/corpus

A random fifth of the recordings is held out. All pairs among them are ranked
by the cosine of standardised features; a pair counts as positive where at
least tau listeners share it. Prints AP and AUC of audio statistics, of a
ridge from them to the training graph's WMF vectors, of a genre oracle, and of
WMF on the whole graph. Exits 1 where the world is too easy or too hard.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import dataclasses
import gzip
import json
import os
import pathlib
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import threadpoolctl
import tqdm
from sklearn import linear_model, metrics

from music_embed.audio import decode, log_mel, statistics
from music_embed.core import types
from music_embed.data.mining import factorize, graph

Matrix = npt.NDArray[Any]

_MAX_NEIGHBORS = 250
_HELD_OUT_SHARE = 0.2
_NUM_FACTORS = 16  # More memorise single edges of so small a graph.


@dataclasses.dataclass(frozen=True)
class Corpus:
  """What is measured: features, links and the true genres.

  Attributes:
    features: float32 [recordings, features].
    links: bool [recordings, recordings], symmetric.
    genres: int [recordings].
  """

  features: Matrix
  links: Matrix
  genres: Matrix


def _features(path: str) -> Matrix:
  waveform = decode.decode(path).waveform
  spectrogram = log_mel.log_mel(waveform, types.LogMelFrontEnd())
  return statistics.statistics(spectrogram)


def _links(log: pathlib.Path, order: dict[str, int], tau: int) -> Matrix:
  """Pairs with tau common listeners, at most 250 a recording."""
  with gzip.open(log, "rt", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
  users = {user: i for i, user in enumerate({r["user_id"]: 0 for r in rows})}
  places = (
    [users[row["user_id"]] for row in rows],
    [order[row["recording_id"]] for row in rows],
  )
  ones = np.ones(len(rows), np.int32)
  shape = (len(users), len(order))
  listened = scipy.sparse.csr_matrix((ones, places), shape=shape)
  listened.data[:] = 1
  common = (listened.T @ listened).toarray()
  np.fill_diagonal(common, 0)
  ranks = np.argsort(np.argsort(-common, axis=1, kind="stable"), axis=1)
  kept = (common >= tau) & (ranks < _MAX_NEIGHBORS)
  return kept & kept.T


def read_corpus(directory: str, *, tau: int, num_workers: int) -> Corpus:
  """Reads tables and audio of a corpus."""
  folder = pathlib.Path(directory)
  with open(folder / "recordings.csv", encoding="utf-8", newline="") as file:
    rows = [r for r in csv.DictReader(file) if float(r["music_share"]) >= 0.5]
  with open(folder / "recordings.csv", encoding="utf-8", newline="") as file:
    everything = [row["recording_id"] for row in csv.DictReader(file)]
  paths = [str(folder / row["audio"]) for row in rows]
  with concurrent.futures.ProcessPoolExecutor(num_workers) as pool:
    features = list(
      tqdm.tqdm(
        pool.map(_features, paths, chunksize=8),
        total=len(paths),
        desc="features",
        disable=not sys.stderr.isatty(),
      )
    )
  order = {name: index for index, name in enumerate(everything)}
  links = _links(folder / "listening_log.csv.gz", order, tau)
  kept = [order[row["recording_id"]] for row in rows]
  truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
  genres = [truth["recordings"][r["recording_id"]]["genre"] for r in rows]
  return Corpus(np.stack(features), links[np.ix_(kept, kept)], np.array(genres))


def _wmf(links: Matrix) -> Matrix:
  """Implicit-feedback factors of the vertices of a graph."""
  rows, columns = np.nonzero(np.triu(links, 1))
  edges = graph.Graph.from_edges(
    len(links), rows, columns, np.ones(len(rows), np.int64)
  )
  return factorize.factorize(edges, num_factors=_NUM_FACTORS, seed=0)


def _cosines(vectors: Matrix) -> Matrix:
  norms = np.linalg.norm(vectors, axis=1, keepdims=True)
  unit = vectors / np.maximum(norms, 1e-9)
  return unit @ unit.T


def _standardised(features: Matrix, known: Matrix) -> Matrix:
  return (features - features[known].mean(0)) / (features[known].std(0) + 1e-6)


def measure(corpus: Corpus, *, seed: int = 0) -> dict[str, Any]:
  """AP and AUC of each system over the held-out pairs, and the graph."""
  count = len(corpus.genres)
  order = np.random.default_rng(seed).permutation(count)
  held_out = np.sort(order[: round(_HELD_OUT_SHARE * count)])
  train = np.sort(order[len(held_out) :])
  rows, columns = np.triu_indices(len(held_out), 1)
  positive = corpus.links[np.ix_(held_out, held_out)][rows, columns]

  def score(similarity: Matrix) -> dict[str, float]:
    values = similarity[rows, columns]
    return {
      "ap": float(metrics.average_precision_score(positive, values)),
      "auc": float(metrics.roc_auc_score(positive, values)),
    }

  features = _standardised(corpus.features, train)
  linked = corpus.links[np.ix_(train, train)]
  targets = _wmf(linked)
  known = linked.any(axis=1)
  ridge = linear_model.RidgeCV(alphas=np.logspace(0, 5, 11))
  ridge.fit(features[train][known], targets[known])
  genres = corpus.genres[held_out]
  return {
    "audio_statistics": score(_cosines(features[held_out])),
    "ridge": score(_cosines(ridge.predict(features[held_out]))),
    "genre_oracle": score((genres[:, None] == genres).astype(float)),
    "wmf": score(_cosines(_wmf(corpus.links)[held_out])),
    "prevalence": float(positive.mean()),
    "num_recordings": count,
    "mean_degree": float(corpus.links.sum(1).mean()),
    "without_links": int((~corpus.links.any(axis=1)).sum()),
  }


def faults(report: dict[str, Any]) -> list[str]:
  """Why a world is not as hard as it should be; empty where it is."""
  oracle = report["genre_oracle"]
  checks = {
    "audio statistics exceed .70 AUC": (
      report["audio_statistics"]["auc"] <= 0.70
    ),
    "WMF's AP lies outside .5 to .8": 0.5 <= report["wmf"]["ap"] <= 0.8,
    "the genre oracle does not exceed .75 AUC": oracle["auc"] > 0.75,
    "the ridge is not clearly below the genre oracle in AP": (
      report["ridge"]["ap"] < oracle["ap"] - 0.03
    ),
    "the mean degree lies outside 15 to 60": (
      15 <= report["mean_degree"] <= 60
    ),
  }
  return [message for message, holds in checks.items() if not holds]


def main(arguments: list[str] | None = None) -> int:
  """Measures the corpora named on the command line; returns the exit code."""
  parser = argparse.ArgumentParser(description="Measures corpora's hardness.")
  parser.add_argument("corpora", nargs="+", help="directories")
  parser.add_argument("--tau", type=int, default=3, help="common listeners")
  parser.add_argument("--num_workers", type=int, default=os.cpu_count() or 1)
  flags = parser.parse_args(arguments)
  threadpoolctl.threadpool_limits(1)
  exit_code = 0
  for directory in flags.corpora:
    report = measure(
      read_corpus(directory, tau=flags.tau, num_workers=flags.num_workers)
    )
    print(directory)
    for name, value in report.items():
      if isinstance(value, dict):
        print(f"  {name:<18} AP {value['ap']:.3f}  AUC {value['auc']:.3f}")
      else:
        print(f"  {name:<18} {value:.4g}")
    for message in faults(report):
      print(f"  FAULT: {message}")
      exit_code = 1
  return exit_code


if __name__ == "__main__":
  sys.exit(main())
