"""What a report says about word senses, measured on the evaluation part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.mining import senses as senses_lib
from music_embed.data.records import (
  embedding_store,
  prepared,
  sense_labels,
)
from music_embed.evaluation import (
  ambiguity,
  label_prediction,
  sense_auc,
  sense_report,
  senses,
  told_apart,
)
from music_embed.models import embedder as embedder_lib
from music_embed.runs import (
  config,
  embedding_cache,
  head_fit,
  restore,
  sense_bench,
  sense_fits,
  workdir,
)

Array = npt.NDArray[Any]
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class SenseMeasures:
  """How senses are measured.

  Attributes:
    num_shuffles: shuffled controls; figures are means over them.
    max_terms: ambiguous terms that the report's table shows.
    num_nearest: labels near each of their senses.
    fit: how unsplit, split and shuffled heads are fitted; None: as those by
      which the number of clusters was chosen.
    finding: which terms count as ambiguous; None: likewise.
  """

  num_shuffles: int = 5
  max_terms: int = 10
  num_nearest: int = 6
  fit: head_fit.FitOptions | None = None
  finding: ambiguity.FindingOptions | None = None

  def __post_init__(self) -> None:
    for name in ("num_shuffles", "max_terms", "num_nearest"):
      if getattr(self, name) < 1:
        raise errors.ConfigError(f"SenseMeasures.{name} must be at least 1")


@dataclasses.dataclass(frozen=True)
class SenseModel:
  """A run that was trained on senses.

  Attributes:
    workdir: its directory.
    checkpoint: "best" or "last".
    data: the dataset through its senses.
    kernel: its softmax layer, float32 [labels, dim].
  """

  workdir: str
  checkpoint: str
  data: sense_labels.RelabelledDataset
  kernel: Array


def sense_model(
  data: prepared.PreparedDataset,
  models: Mapping[str, str],
  networks: Mapping[str, embedder_lib.Embedder],
  checkpoint: str,
) -> SenseModel | None:
  """The model whose senses a report tells of: "sense", or else the last.

  Args:
    data: the dataset with its own labels.
    models: working directories by name.
    networks: their networks.
    checkpoint: that was loaded.

  Returns:
    None where no model was trained on senses.
  """
  found: dict[str, SenseModel] = {}
  for name, directory in models.items():
    known = restore.dataset_of(directory, data)
    head = networks[name].label_head
    if isinstance(known, sense_labels.RelabelledDataset) and head is not None:
      kernel = np.asarray(head.kernel)
      found[name] = SenseModel(directory, checkpoint, known, kernel)
  return found.get("sense", next(reversed(found.values()), None))


def read_truth(path: str | None) -> told_apart.Truth | None:
  """The truth of a generated corpus, where one is given.

  Raises:
    DataError: the file is missing, or no such truth.
  """
  if path is None:
    return None
  if not files.exists(path):
    raise errors.DataError(f"--truth={path}: no such file")
  return told_apart.Truth.from_json(files.read_json(path), path)


def measure(
  plain: prepared.PreparedDataset,
  model: SenseModel,
  *,
  labels: label_prediction.LabelTask,
  recordings: Array,
  truth: told_apart.Truth | None,
  options: SenseMeasures,
  num_bootstrap: int,
  seed: int,
  say: Say,
) -> dict[str, Any]:
  """The part of report.json under "senses".

  Args:
    plain: the dataset with its own labels.
    model: what is judged.
    labels: plain labels under test.
    recordings: of the evaluation part, int64 [n], rows as of `labels`.
    truth: of a generated corpus; None where there is none.
    options: fits, shuffles, sizes of tables.
    num_bootstrap: resamples of the recordings.
    seed: of fits, shuffles and resamples.
    say: told what is being done.

  Returns:
    Counts of found (and planted) terms, AUC of the ambiguous ones by three
    kinds of heads, under "others" the same for all other terms, tables.
  """
  known = model.data.sense_labels
  bench = _bench(plain, model, recordings, options, seed)
  labels_of = sense_fits.labels_of(model.data)
  found = bench.ambiguous(labels_of, known.recording_cluster, model.kernel)
  space = sense_report.SenseSpace(
    kernel=model.kernel,
    names=labels_of.labels,
    terms=labels_of.plain,
    clusters=labels_of.cluster,
    counts=labels_of.counts,
    vocabulary=plain.vocabulary,
  )
  fitted = sense_fits.fit(bench, model.data, say)
  planted = None if truth is None else set(truth.planted)
  words = (
    {plain.vocabulary[term.term] for term in found}
    if planted is None
    else planted
  )
  auc = sense_auc.measure(
    labels.positive,
    fitted.scores(labels.label_ids),
    np.array([plain.vocabulary[i] in words for i in labels.label_ids], bool),
    num_bootstrap=num_bootstrap,
    seed=seed,
  )
  histogram = senses.senses_per_term(labels_of.plain, labels_of.cluster)
  return {
    **sense_report.finding(space, found, planted),
    **auc["ambiguous"],
    "k": known.num_clusters,
    "judged_on": "found" if planted is None else "planted",
    "num_shuffles": options.num_shuffles,
    "others": auc["others"],
    "told_apart": None
    if truth is None
    else _told_apart(plain, fitted, model, truth),
    "table": sense_report.meanings(
      space,
      found,
      planted,
      max_terms=options.max_terms,
      num_nearest=options.num_nearest,
    ),
    "senses_per_term": {str(n): terms for n, terms in histogram.items()},
    "k_table": known.metadata.get("table", []),
    "fit": dataclasses.asdict(bench.fit),
    "workdir": model.workdir,
  }


def _bench(
  plain: prepared.PreparedDataset,
  model: SenseModel,
  recordings: Array,
  options: SenseMeasures,
  seed: int,
) -> sense_bench.Bench:
  """Fits heads as those were by which the number of clusters was chosen."""
  inputs = model.data.sense_labels.metadata.get("inputs", {})
  chosen = inputs.get("choosing", {})
  return sense_bench.Bench(
    data=plain,
    store=_store(plain, model),
    recordings=recordings,
    fit=options.fit or head_fit.FitOptions(**chosen.get("fit", {})),
    splitting=senses_lib.SenseOptions(**inputs.get("splitting", {})),
    finding=options.finding
    or ambiguity.FindingOptions(**chosen.get("finding", {})),
    num_shuffles=options.num_shuffles,
    seed=seed,
  )


def _store(
  plain: prepared.PreparedDataset, model: SenseModel
) -> embedding_store.EmbeddingStore:
  """Embeddings by the run's network: its own cache, filled where missing."""
  from music_embed.runs import train  # Imports what evaluates.

  with open(workdir.config_path(model.workdir), encoding="utf-8") as file:
    arguments = config.parse_text(train.train, file.read()).arguments
  cached = arguments.get("embeddings") or embedding_cache.CachedEmbeddings()
  return embedding_cache.ensure(
    cached.folder(model.workdir),
    model=model.workdir,
    data=plain,
    granularity=cached.granularity,
    checkpoint=model.checkpoint,
    batch_windows=cached.batch_windows,
  )


def _told_apart(
  plain: prepared.PreparedDataset,
  fitted: sense_fits.SenseFits,
  model: SenseModel,
  truth: told_apart.Truth,
) -> dict[str, Any]:
  """By the model's own head; beside it the share of the fitted ones."""
  train = plain.split_range("train")
  ids = plain.recording_ids[train.start : train.stop]
  genres = np.array([truth.recording_genres.get(i, -1) for i in ids])

  def judged(head: told_apart.SenseHead) -> dict[str, Any]:
    return told_apart.told_apart(head, plain.vocabulary, genres, truth)

  split = fitted.split.sense_head(train)
  own = judged(dataclasses.replace(split, kernel=model.kernel))
  controls = [judged(head.sense_head(train)) for head in fitted.shuffled]
  return {
    **own,
    "share_right_fitted": judged(split)["share_right"],
    "share_right_shuffled": float(
      np.mean([control["share_right"] for control in controls])
    ),
    "told_apart_shuffled": [control["told_apart"] for control in controls],
  }
