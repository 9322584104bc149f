"""Chooses the number of clusters that labels are split by."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm

from music_embed.core import errors, files
from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import prepared
from music_embed.evaluation import ambiguity, sense_table
from music_embed.runs import embedding_cache, head_fit, sense_bench

Array = npt.NDArray[Any]

_FOLDER = "choice"


@dataclasses.dataclass(frozen=True)
class Choosing:
  """How the number of clusters is chosen, on the validation part.

  Attributes:
    fit: how every head is fitted on stored embeddings.
    finding: which words count as ambiguous.
    num_shuffles: control fits with shuffled clusters for each number.
    min_occurrences: labels rarer than this in the part are not judged.
    max_recordings: of the part that are judged, evenly spread.
    granularity: what is embedded: "windows" or "recordings".
    checkpoint: of the network, "best" or "last".
    batch_windows: windows of one network call.
  """

  fit: head_fit.FitOptions = dataclasses.field(
    default_factory=head_fit.FitOptions
  )
  finding: ambiguity.FindingOptions = dataclasses.field(
    default_factory=ambiguity.FindingOptions
  )
  num_shuffles: int = 3
  min_occurrences: int = 5
  max_recordings: int = 2_500
  granularity: str = "windows"
  checkpoint: str = "best"
  batch_windows: int = 128

  def __post_init__(self) -> None:
    for name in ("num_shuffles", "min_occurrences", "max_recordings"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"Choosing.{name} must be at least 1")


def bench_of(
  data: prepared.PreparedDataset,
  *,
  model: str,
  embeddings: str,
  splitting: senses_lib.SenseOptions,
  choosing: Choosing,
  seed: int,
) -> sense_bench.Bench:
  """What fits and judges heads, on the validation part.

  Embeds the recordings unless that was done before.

  Args:
    data: the dataset with its plain labels.
    model: training run whose network embeds.
    embeddings: directory of the embeddings.
    splitting: which labels are split.
    choosing: fits, shuffles, the part.
    seed: of fits and shuffles.

  Raises:
    ConfigError: there is no such run, or it is of another dataset.
  """
  store = embedding_cache.ensure(
    embeddings,
    model=model,
    data=data,
    granularity=choosing.granularity,
    checkpoint=choosing.checkpoint,
    batch_windows=choosing.batch_windows,
  )
  part = data.split_range("validation")
  count = min(len(part), choosing.max_recordings)
  return sense_bench.Bench(
    data=data,
    store=store,
    recordings=part.start + np.arange(count) * len(part) // max(count, 1),
    fit=choosing.fit,
    splitting=splitting,
    finding=choosing.finding,
    num_shuffles=choosing.num_shuffles,
    min_occurrences=choosing.min_occurrences,
    seed=seed,
  )


def measured(
  output: str,
  bench: sense_bench.Bench,
  found: Mapping[int, Array],
  inputs: Mapping[str, Any],
) -> list[dict[str, Any]]:
  """The table of `evaluation.sense_table`, one row a number of clusters.

  Args:
    output: keeps each row that is finished, for a call that goes on.
    bench: fits and judges heads.
    found: clusters of all recordings by their number, int32 [recordings].
    inputs: what decides the rows, JSON.

  Raises:
    DataError: the part under test can judge no label.
  """
  splits = {k: bench.split(clusters) for k, clusters in found.items()}
  # Words that all clusters use alike gain nothing, and add only noise.
  uneven = np.unique(
    np.concatenate(
      [bench.uneven_terms(splits[k], clusters) for k, clusters in found.items()]
    )
  )
  uneven = np.intersect1d(uneven, bench.terms)
  judged = uneven if len(uneven) else bench.terms
  folder = files.join(output, _FOLDER)
  files.make_dirs(folder)
  text = json.dumps(inputs, sort_keys=True)
  key = hashlib.sha256(text.encode()).hexdigest()
  fits = 1 + len(found) * (1 + bench.num_shuffles)
  rows = []
  with tqdm.tqdm(total=fits, desc="fitting heads", disable=None) as bar:
    bench = dataclasses.replace(bench, after_fit=bar.update)
    for k, clusters in found.items():
      path = files.join(folder, f"{k}.json")
      if files.exists(path) and files.read_json(path)["key"] == key:
        bar.update(1 + bench.num_shuffles)
        rows.append(files.read_json(path)["row"])
        continue
      rows.append(_row(bench, splits[k], clusters, judged))
      files.write_json(path, {"key": key, "row": rows[-1]})
      bar.write(sense_table.line(rows[-1]), file=sys.stderr)
  return rows


def _row(
  bench: sense_bench.Bench,
  split: senses_lib.SplitLabels,
  clusters: Array,
  judged: Array,
) -> dict[str, Any]:
  head = bench.head(split)
  auc = bench.judge(split, clusters, head)
  words = bench.ambiguous(split, clusters, head.kernel)
  terms = np.array([word.term for word in words], np.int64)
  return sense_table.row(
    num_clusters=int(clusters.max()) + 1,
    num_labels=len(split.labels),
    num_senses=int((split.cluster >= 0).sum()),
    auc=auc,
    judged=judged,
    ambiguous=[
      (bench.data.vocabulary[word.term], word.score) for word in words
    ],
    ambiguous_terms=terms,
  )
