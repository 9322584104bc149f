"""Splits labels by sense: `launch/senses.py`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

import tqdm

from music_embed.core import errors, files
from music_embed.data.mining import clusters as clusters_lib
from music_embed.data.mining import factors as factors_lib
from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import prepared, sense_labels
from music_embed.evaluation import sense_table
from music_embed.evaluation import senses as measures
from music_embed.runs import embedding_cache, restore, sense_choice


def senses(
  *,
  dataset: str,
  factors: str,
  output: str,
  model: str | None = None,
  embeddings: str | None = None,
  num_clusters: int | Sequence[int] = (4, 6, 8, 12, 16, 24),
  clustering: clusters_lib.ClusterOptions | None = None,
  splitting: senses_lib.SenseOptions | None = None,
  choosing: sense_choice.Choosing | None = None,
  seed: int = 0,
) -> sense_labels.SenseLabels:
  """Clusters recordings by their factors and splits labels by cluster.

  Of several numbers of clusters the validation part chooses: that whose
  senses, summed, beat those of shuffled clusters by most on the unsplit
  labels. Finished labels of the same arguments are passed over; an
  interrupted choice goes on after the last number that it finished.

  Args:
    dataset: directory that `launch/prepare.py` wrote.
    factors: directory that `launch/factorize.py` wrote.
    output: directory of the labels, see `data.records.sense_labels`.
    model: training run whose embeddings heads are fitted on; one number of
      clusters needs none.
    embeddings: where those are stored; None: in `output`.
    num_clusters: one, or those to choose from.
    clustering: of recordings; the defaults where None.
    splitting: of labels; the defaults where None.
    choosing: of the number of clusters; the defaults where None.
    seed: of clusters, fits and shuffles.

  Returns:
    What was written.

  Raises:
    ConfigError: a number makes no sense or does not fit the graph, a
      directory is of another dataset, or there is no model to choose by.
    DataError: an input is damaged, no training recording has a vertex, or
      the validation part is too small to choose by.
  """
  files.require_local(output, "output")
  offered = [num_clusters] if isinstance(num_clusters, int) else num_clusters
  offered = sorted(set(offered))
  _check(offered, model)
  data = prepared.PreparedDataset(dataset)
  splitting = splitting or senses_lib.SenseOptions()
  choosing = choosing or sense_choice.Choosing()
  vectors = factors_lib.load(factors, data.fingerprint)
  if len(vectors.vectors) != data.num_recordings:
    raise errors.DataError(
      f"{factors}: {len(vectors.vectors)} vectors, but {data.num_recordings}"
      f" recordings in {dataset}: run launch/factorize.py again"
    )
  inputs: dict[str, Any] = {
    "dataset": data.fingerprint,
    "factors": files.sha256(files.join(factors, factors_lib.FILE_NAME)),
    "offered": offered,
    "clustering": dataclasses.asdict(
      clustering or clusters_lib.ClusterOptions()
    ),
    "splitting": dataclasses.asdict(splitting),
    "seed": seed,
  }
  if model is not None and len(offered) > 1:
    prefix = restore.checkpoint_of(model, choosing.checkpoint)
    inputs["network"] = embedding_cache.network_sha256(prefix)
    inputs["choosing"] = dataclasses.asdict(choosing)
  files.make_dirs(output)
  with files.exclusive(files.join(output, ".lock"), output):
    if (done := _finished(output, data, inputs)) is not None:
      _say(f"{output}: senses are split already")
      _print(done)
      return done
    files.remove_leftovers(output)
    found = {
      k: clusters_lib.clusters(
        vectors.vectors,
        num_clusters=k,
        fit_rows=data.split_range("train"),
        seed=seed,
        options=clustering,
      )
      for k in _shown(offered)
    }
    table: list[dict[str, Any]] = []
    chosen = offered[0]
    if len(offered) > 1:
      assert model is not None  # It was checked.
      bench = sense_choice.bench_of(
        data,
        model=model,
        embeddings=embeddings or files.join(output, "embeddings"),
        splitting=splitting,
        choosing=choosing,
        seed=seed,
      )
      table = sense_choice.measured(output, bench, found, inputs)
      chosen = sense_table.best(table)
    split = senses_lib.split_labels(
      *data.labels_csr,
      data.vocabulary,
      found[chosen],
      data.split_range("train"),
      splitting,
    )
    described = {"inputs": inputs, "table": table}
    sense_labels.write(output, split, found[chosen], data, described)
  made = sense_labels.SenseLabels.load(output, data)
  _print(made)
  return made


def _check(offered: Sequence[int], model: str | None) -> None:
  if not offered:
    raise errors.ConfigError("senses.num_clusters is empty: name one or more")
  if len(offered) > 1 and model is None:
    raise errors.ConfigError(
      f"--model is not set, and there are {len(offered)} numbers of clusters"
      " to choose from: give a training run, or one number"
    )


def _finished(
  output: str, data: prepared.PreparedDataset, inputs: dict[str, Any]
) -> sense_labels.SenseLabels | None:
  if not sense_labels.is_written(output):
    return None
  path = files.join(output, sense_labels.FILE_NAME)
  if files.read_json(path).get("inputs") != json.loads(json.dumps(inputs)):
    return None
  return sense_labels.SenseLabels.load(output, data)


def _shown(offered: Sequence[int]) -> Sequence[int]:
  return tqdm.tqdm(offered, desc="clustering", unit="k", disable=None)


def _print(made: sense_labels.SenseLabels) -> None:
  histogram = measures.senses_per_term(made.plain, made.cluster)
  table = made.metadata["table"]
  if table:
    print(sense_table.text(table, made.num_clusters))
  several = sum(terms for number, terms in histogram.items() if number > 1)
  print(
    f"{made.num_clusters} clusters; {made.metadata['labels']:,} labels, of"
    f" which {made.metadata['senses']:,} are senses; {several:,} terms have"
    " several",
    flush=True,
  )


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
