"""Measures all variants on the same held-out recordings."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from music_embed.core import errors, types
from music_embed.data.records import prepared
from music_embed.evaluation import bootstrap, label_prediction, link_prediction
from music_embed.evaluation.systems import Parts
from music_embed.runs import compared, restore
from tools.ablation import training, variants

MEASURES = {
  "link_ap": "link AP",
  "link_auc": "link AUC",
  "label_auc": "label AUC",
  "probe_auc": "by probe",
}
"""Key of a measure, and how tables call it."""

_Array = Any


@dataclasses.dataclass(frozen=True)
class Answers:
  """What a run says about the recordings.

  Attributes:
    embeddings: float32 [recordings, dim] of each part.
    scores: of the labels under test that its vocabulary has, float32
      [evaluation_recordings, known].
  """

  embeddings: Parts
  scores: _Array


@dataclasses.dataclass(frozen=True)
class Measured:
  """One variant at one seed.

  Attributes:
    values: by measure.
    replicates: the same in each resample, float64 [resamples]; none for the
      probe.
    norm: mean l2 norm of a recording's embedding.
    num_labels: labels under test that its vocabulary has.
  """

  values: dict[str, float]
  replicates: dict[str, _Array]
  norm: float
  num_labels: int


class Bench:
  """The held-out recordings, and the answers that all are judged by."""

  def __init__(
    self,
    dataset: str,
    *,
    num_bootstrap: int = 1_000,
    min_occurrences: int = 10,
  ) -> None:
    """Opens the baseline's dataset.

    Args:
      dataset: its directory.
      num_bootstrap: resamples of the recordings.
      min_occurrences: labels that occur less often in the evaluation part
        are left out.
    """
    self.data = prepared.PreparedDataset(dataset)
    self.recordings = compared.sampled_recordings(
      self.data, 10_000, 20_000, seed=0
    )
    targets = self.recordings.map(
      lambda rows: label_prediction.targets_of(
        *self.data.labels_csr, rows, len(self.data.vocabulary)
      )
    )
    self.task = label_prediction.label_task(
      targets, min_occurrences=min_occurrences
    )
    evaluation = self.recordings.evaluation
    edges = self.data.graph(types.SPLITS[2]).pairs_among(evaluation)
    self.pool = link_prediction.graph_pairs(edges, len(evaluation))
    self._resamples = bootstrap.multiplicities(
      len(evaluation), num_bootstrap, seed=0
    )

  def known(self, vocabulary: Sequence[str]) -> _Array:
    """Which labels under test a vocabulary has, bool [labels]."""
    own = set(vocabulary)
    return np.array(
      [self.data.vocabulary[label] in own for label in self.task.label_ids],
      bool,
    )

  def embed(
    self, workdir: pathlib.Path, dataset: str, cache: pathlib.Path
  ) -> Answers:
    """A run's answers for the recordings of this dataset.

    Args:
      workdir: of a finished run; its last weights are taken.
      dataset: that it was trained on.
      cache: file that keeps them.

    Raises:
      DataError: that dataset has other recordings, or splits them otherwise.
    """
    if not cache.exists():
      own = prepared.PreparedDataset(dataset)
      self._check_recordings(own)
      positions = {label: i for i, label in enumerate(own.vocabulary)}
      known = self.task.label_ids[self.known(own.vocabulary)]
      system = compared.network_system(
        self.data,
        restore.load_embedder(str(workdir), own, checkpoint="last"),
        self.recordings,
        name=workdir.name,
        label_ids=np.array(
          [positions[self.data.vocabulary[label]] for label in known], np.int64
        ),
        batch_windows=128,
        say=lambda text: print(text, file=sys.stderr, flush=True),
      )
      cache.parent.mkdir(parents=True, exist_ok=True)
      arrays = dict(zip(types.SPLITS, system.embeddings, strict=True))
      np.savez(cache, scores=np.asarray(system.label_scores), **arrays)
    with np.load(cache) as arrays:
      embeddings = Parts(*(arrays[name] for name in types.SPLITS))
      return Answers(embeddings, arrays["scores"])

  def measure(self, answers: Answers, known: _Array) -> Measured:
    """One variant's numbers.

    Args:
      answers: of its run.
      known: bool [labels], those under test that its vocabulary has.
    """
    evaluation = answers.embeddings.evaluation
    positive = self.task.positive[:, known]
    link = link_prediction.measure(self.pool, evaluation)
    probe = label_prediction.probe(answers.embeddings, self.task).scores
    links = bootstrap.link_replicates(
      self.pool, {"": evaluation}, self._resamples
    )[""]
    labels = bootstrap.label_replicates(
      positive, {"": answers.scores}, self._resamples
    )[""]
    return Measured(
      values={
        "link_ap": link.ap,
        "link_auc": link.auc,
        "label_auc": label_prediction.mean_auc(positive, answers.scores),
        "probe_auc": label_prediction.mean_auc(self.task.positive, probe),
      },
      replicates={
        "link_ap": links["ap"],
        "link_auc": links["auc"],
        "label_auc": labels["auc"],
      },
      norm=float(np.linalg.norm(evaluation, axis=1).mean()),
      num_labels=int(known.sum()),
    )

  def _check_recordings(self, other: prepared.PreparedDataset) -> None:
    same = list(self.data.recording_ids) == list(other.recording_ids)
    if not same or self.data.manifest.splits != other.manifest.splits:
      raise errors.DataError(
        f"{other.directory}: not the recordings and splits of"
        f" {self.data.directory}: give the corpus that it was prepared from"
      )


def compare(
  bench: Bench,
  places: training.Places,
  chosen: Sequence[variants.Variant],
  seeds: int,
) -> dict[str, Any]:
  """What the report holds: values and differences from the baseline.

  A variant of another vocabulary is compared with the baseline on the labels
  that both have.

  Args:
    bench: measures.
    places: of the finished runs.
    chosen: variants, the baseline first.
    seeds: how many.
  """
  rows: dict[str, Any] = {}
  by_vocabulary: dict[bytes, list[Measured]] = {}
  baseline: list[Answers] = []
  for variant in chosen:
    run = variant.runs[-1]
    dataset = str(places.dataset_of(run))
    known = bench.known(prepared.PreparedDataset(dataset).vocabulary)
    answers = [
      bench.embed(
        places.workdir(run.name, seed),
        dataset,
        places.output / "embedded" / f"{run.name}_seed_{seed}.npz",
      )
      for seed in range(seeds)
    ]
    measured = [bench.measure(one, known) for one in answers]
    baseline = baseline or answers
    if known.tobytes() not in by_vocabulary:
      by_vocabulary[known.tobytes()] = [
        bench.measure(Answers(one.embeddings, one.scores[:, known]), known)
        for one in baseline
      ]
    rows[variant.name] = _row(variant, measured, by_vocabulary[known.tobytes()])
  return {
    "seeds": seeds,
    "steps_scale": places.steps_scale,
    "recordings": len(bench.recordings.evaluation),
    "labels": len(bench.task.label_ids),
    "variants": rows,
  }


def _row(
  variant: variants.Variant,
  measured: Sequence[Measured],
  baseline: Sequence[Measured],
) -> dict[str, Any]:
  row: dict[str, Any] = {
    "paper": variant.paper,
    "norm": float(np.mean([one.norm for one in measured])),
    "labels": measured[0].num_labels,
  }
  for measure in MEASURES:
    values = [one.values[measure] for one in measured]
    row[measure] = {"values": values, "mean": float(np.mean(values))}
    if variant.name != variants.BASELINE:
      row[measure]["difference"] = difference(measured, baseline, measure)
  return row


def difference(
  measured: Sequence[Measured], baseline: Sequence[Measured], measure: str
) -> Mapping[str, Any]:
  """A variant minus the baseline, seed by seed.

  Args:
    measured: one a seed.
    baseline: likewise.
    measure: key of `MEASURES`.

  Returns:
    "mean" and "spread" (standard deviation; None for one seed) over seeds,
    and "interval", the central 95 % of the paired bootstrap over recordings
    of the mean over seeds (None for the probe).
  """
  pairs = list(zip(measured, baseline, strict=True))
  differences = [a.values[measure] - b.values[measure] for a, b in pairs]
  interval = None
  if measure in measured[0].replicates:
    replicates = np.mean(
      [a.replicates[measure] - b.replicates[measure] for a, b in pairs], axis=0
    )
    interval = bootstrap.Interval.of(replicates).to_json()
  return {
    "mean": float(np.mean(differences)),
    "spread": float(np.std(differences, ddof=1)) if len(pairs) > 1 else None,
    "interval": interval,
  }
