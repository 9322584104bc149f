"""The ablations of Huang et al. 2020 on the demo's scale: what each trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

_FOLDER = "gin/systems/huang2020/ablations"
BASELINE = "baseline"
"""Name of the variant that the others are compared with."""

DATASETS = {"cap": f"{_FOLDER}/cap.gin", "tf_idf": f"{_FOLDER}/tf_idf.gin"}
"""Datasets that variants need besides the baseline's, and what changes them."""


@dataclasses.dataclass(frozen=True)
class Run:
  """One training run; variants that name the same one share it.

  Attributes:
    name: of its folder.
    gin_files: the demo's stage, and what changes it.
    after: run whose network it takes over.
    dataset: one of `DATASETS`; None for the baseline's.
    bindings: further ones, of the demo's scale.
  """

  name: str
  gin_files: tuple[str, ...]
  after: str | None = None
  dataset: str | None = None
  bindings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Variant:
  """One row of the table.

  Attributes:
    name: of the row.
    runs: in their order; the last one is evaluated.
    paper: what the paper says of it, in our words.
    measure: what that is about, one of `measuring.MEASURES`; None where the
      paper says nothing that can be compared.
    sign: -1 where the paper has this variant below `than`, 1 where above.
    than: the variant that the paper's statement compares it with.
  """

  name: str
  runs: tuple[Run, ...]
  paper: str
  measure: str | None = None
  sign: int = -1
  than: str = BASELINE


def _triplet(name: str, *changes: str, dataset: str | None = None) -> Run:
  return Run(
    name,
    ("gin/runs/demo_triplet.gin", *(f"{_FOLDER}/{c}.gin" for c in changes)),
    dataset=dataset,
  )


def _label(
  name: str, *changes: str, after: str, dataset: str | None = None
) -> Run:
  foreign = ("warm_start.WarmStart.other_dataset = True",)
  return Run(
    name,
    ("gin/runs/demo_label.gin", *(f"{_FOLDER}/{c}.gin" for c in changes)),
    after=after,
    dataset=dataset,
    bindings=foreign if dataset == "tf_idf" else (),
  )


def _both_stages(
  name: str, *changes: str, only_triplet: bool = False, **other: str
) -> tuple[Run, Run]:
  return (
    _triplet(f"{name}_triplet", *changes, **other),
    _label(
      name,
      *(() if only_triplet else changes),
      after=f"{name}_triplet",
      **other,
    ),
  )


_STAGE_1 = _triplet("baseline_triplet")
# As many triplets and labelled windows as the two stages of the demo have.
_SUM = ("BATCH_WINDOWS = 33",)

VARIANTS = (
  Variant(
    BASELINE,
    (_STAGE_1, _label(BASELINE, after="baseline_triplet")),
    "the hybrid: triplet stage, then label stage",
  ),
  Variant(
    "independent_logistics",
    (
      _STAGE_1,
      _label(
        "independent_logistics",
        "independent_logistics",
        after="baseline_triplet",
      ),
    ),
    "a softmax over all labels is better than a logistic for each",
    "label_auc",
  ),
  Variant(
    "no_mining",
    _both_stages("no_mining", "no_mining", only_triplet=True),
    "mining in the batch stays critical although the graph's negatives are"
    " hard",
    "link_ap",
  ),
  Variant(
    "no_l2",
    _both_stages("no_l2", "no_l2"),
    "without the inner l2 the norm blows up and the classifier suffers",
    "label_auc",
  ),
  Variant(
    "random_negatives",
    _both_stages("random_negatives", "random_negatives", only_triplet=True),
    "takes the graph's hard negatives, and gives no figure for random ones",
    "link_ap",
  ),
  Variant(
    "weighted_sum",
    (
      Run(
        "weighted_sum",
        ("gin/runs/demo_triplet.gin", f"{_FOLDER}/weighted_sum.gin"),
        bindings=_SUM,
      ),
    ),
    "one optimiser for a weighted sum of both losses does not do",
    "label_auc",
  ),
  Variant(
    "weighted_sum_two_adams",
    (
      Run(
        "weighted_sum_two_adams",
        ("gin/runs/demo_triplet.gin", f"{_FOLDER}/weighted_sum_two_adams.gin"),
        bindings=(*_SUM, "HEAD_LEARNING_RATE = 1e-2"),
      ),
    ),
    "a weighted sum needs an optimiser for the network and one for the"
    " classifier",
    "label_auc",
    sign=1,
    than="weighted_sum",
  ),
  Variant(
    "tf_idf",
    (
      _STAGE_1,
      _label("tf_idf", after="baseline_triplet", dataset="tf_idf"),
    ),
    "filtering frequent words loses useful ones",
    "probe_auc",
  ),
  Variant(
    "cap",
    _both_stages("cap", dataset="cap"),
    "capping a recording's neighbours helps (at 250, which binds nowhere here:"
    " the baseline has in effect no cap, this row one of 25)",
    "link_ap",
    sign=1,
  ),
)
"""In the order of the table, which is the order of training."""


def chosen(only: Sequence[str], *, with_corpus: bool) -> list[Variant]:
  """The variants to run, the baseline always first.

  Args:
    only: names; all where empty.
    with_corpus: whether other datasets can be prepared.

  Raises:
    ValueError: a name is unknown, or needs the corpus.
  """
  names = [variant.name for variant in VARIANTS]
  for name in only:
    if name not in names:
      raise ValueError(f"--only={name}: there are {', '.join(names)}")
    if not with_corpus and needs_corpus(name):
      raise ValueError(f"--only={name}: prepares a dataset: give --corpus")
  return [
    variant
    for variant in VARIANTS
    if variant.name == BASELINE
    or (
      variant.name in only
      if only
      else with_corpus or not needs_corpus(variant.name)
    )
  ]


def needs_corpus(name: str) -> bool:
  """Whether a variant trains on another dataset than the baseline's."""
  variant = next(v for v in VARIANTS if v.name == name)
  return any(run.dataset is not None for run in variant.runs)


def runs_of(variants: Sequence[Variant]) -> list[Run]:
  """Every run once, each after the one that it starts from."""
  return list(dict.fromkeys(run for v in variants for run in v.runs))
