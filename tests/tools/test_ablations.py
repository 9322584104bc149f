"""Tests of tools/ablations.py: what it trains, and how it compares."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from music_embed.core import errors, files, types  # noqa: E402
from music_embed.data.mining import graph as graph_lib  # noqa: E402
from music_embed.data.records import manifest, schema, writer  # noqa: E402
from music_embed.models.heads import label_logistic  # noqa: E402
from music_embed.runs import config, train  # noqa: E402
from tools import ablations  # noqa: E402
from tools.ablation import measuring, table, training, variants  # noqa: E402

_SPLITS = {"train": 12, "validation": 6, "evaluation": 12}


def _places(folder: pathlib.Path, **changes) -> training.Places:
  places = training.Places(folder, folder / "dataset", num_threads=1, **changes)
  training.write_settings(places)
  return places


def _configured(places, run):
  given = training.arguments(places, run, seed=3)
  values = {
    flag: [a.split("=", 1)[1] for a in given if a.startswith(f"--{flag}=")]
    for flag in ("gin_file", "gin_param")
  }
  return config.load(
    train.train,
    gin_files=values["gin_file"],
    gin_params=values["gin_param"],
    given=("workdir", "texts", "dry_run"),
  )


def test_every_run_says_its_difference_and_nothing_else(tmp_path, monkeypatch):
  monkeypatch.chdir(_ROOT)
  places = _places(tmp_path, steps_scale=0.5)
  runs = {run.name: run for run in variants.runs_of(variants.VARIANTS)}
  texts = {n: _configured(places, run).config_text for n, run in runs.items()}
  own = (str(tmp_path), "other_dataset")

  def changed(name, base):
    lines = set(texts[name].splitlines()) - set(texts[base].splitlines())
    bindings = [line for line in lines if line[:1].isalpha() and " = " in line]
    return {b for b in bindings if not any(word in b for word in own)}

  stage = "baseline_triplet"
  assert changed("no_mining_triplet", stage) == {
    "triplet.TripletObjective.mining = 'none'"
  }
  assert changed("random_negatives_triplet", stage) == {
    "triplets.TripletSource.random_negative_share = 1.0"
  }
  normalize = {"projection.Projection.normalize = False"}
  assert changed("no_l2_triplet", stage) == normalize
  assert changed("no_l2", "baseline") == normalize
  for name in ("no_mining", "random_negatives", "cap", "tf_idf"):
    assert changed(name, "baseline") == set()
  assert changed("cap_triplet", stage) == set()


def test_the_logistics_get_head_and_loss(tmp_path, monkeypatch):
  monkeypatch.chdir(_ROOT)
  runs = {run.name: run for run in variants.runs_of(variants.VARIANTS)}
  arguments = _configured(
    _places(tmp_path), runs["independent_logistics"]
  ).arguments
  assert arguments["tasks"][0].objective.name == "label_logistic"
  head = arguments["embedder"].label_head
  assert isinstance(head, label_logistic.LabelLogisticHead)
  assert arguments["seed"] == 3


@pytest.mark.parametrize(
  ("stage", "change"),
  [
    ("label", "independent_logistics"),
    ("triplet", "weighted_sum"),
    ("triplet", "weighted_sum_two_adams"),
  ],
)
def test_the_papers_stages_still_watch_a_loss_that_they_have(
  stage, change, monkeypatch
):
  monkeypatch.chdir(_ROOT)
  folder = "gin/systems/huang2020"
  arguments = config.load(
    train.train,
    gin_files=[f"{folder}/{stage}.gin", f"{folder}/ablations/{change}.gin"],
    gin_params=["DATASET = 'x'"]
    + (["WARM_START = 'y'"] if stage == "label" else []),
    given=("workdir", "texts", "dry_run"),
  ).arguments
  losses = [f"{t.objective.name}/loss" for t in arguments["tasks"]]
  assert arguments["plateau"].measure in losses


def test_a_sum_sees_as_many_windows_as_both_stages(tmp_path, monkeypatch):
  monkeypatch.chdir(_ROOT)
  places = _places(tmp_path, steps_scale=0.25)
  runs = {run.name: run for run in variants.runs_of(variants.VARIANTS)}

  def windows(name):
    arguments = _configured(places, runs[name]).arguments
    steps = arguments["loop"].train_steps
    return [
      steps * getattr(t.source, "batch_triplets", 0)
      or steps * t.source.batch_windows
      for t in arguments["tasks"]
    ]

  assert windows("baseline_triplet") == [300 * 44]
  both = windows("baseline_triplet") + windows("baseline")
  assert windows("weighted_sum") == windows("weighted_sum_two_adams") == both


def test_the_sums_differ_in_the_classifiers_rate_only(tmp_path, monkeypatch):
  monkeypatch.chdir(_ROOT)
  places = _places(tmp_path)
  runs = {run.name: run for run in variants.runs_of(variants.VARIANTS)}
  one, two = (
    _configured(places, runs[name]).arguments["optimizers"]
    for name in ("weighted_sum", "weighted_sum_two_adams")
  )
  assert [part for o in two for part in o.parts] == list(one[0].parts)
  assert [o.learning_rate for o in two] == [one[0].learning_rate, 1e-2]
  assert {o.decay_steps for o in two} == {one[0].decay_steps}


def test_shared_stages_are_trained_once_and_before_what_needs_them():
  runs = variants.runs_of(variants.VARIANTS)
  names = [run.name for run in runs]
  assert len(set(names)) == len(names)
  for place, run in enumerate(runs):
    assert run.after is None or run.after in names[:place]
  after = {run.name: run.after for run in runs}
  assert after["tf_idf"] == after["independent_logistics"] == "baseline_triplet"


def test_only_chooses_and_the_corpus_is_asked_for():
  names = [v.name for v in variants.chosen(["no_l2"], with_corpus=False)]
  assert names == ["baseline", "no_l2"]
  everything = [v.name for v in variants.chosen([], with_corpus=False)]
  assert "cap" not in everything
  assert "no_mining" in everything
  with pytest.raises(ValueError, match="give --corpus"):
    variants.chosen(["cap"], with_corpus=False)
  with pytest.raises(ValueError, match="there are baseline, "):
    variants.chosen(["misspelt"], with_corpus=True)


def test_an_output_of_other_steps_is_refused(tmp_path, capsys):
  (tmp_path / "settings.json").write_text(json.dumps({"steps_scale": 0.1}))
  assert ablations.main([f"--dataset={tmp_path}", f"--output={tmp_path}"]) == 2
  assert "choose another --output" in capsys.readouterr().err


def _measured(value: float, replicates: list[float]) -> measuring.Measured:
  return measuring.Measured(
    values=dict.fromkeys(measuring.MEASURES, value),
    replicates={"link_ap": np.array(replicates)},
    norm=1.0,
    num_labels=2,
  )


def test_differences_are_taken_seed_by_seed():
  # .5 - .3 = .2 and .4 - .4 = 0: mean .1, deviation sqrt(2 * .1^2 / 1).
  mine = [_measured(0.5, [0.5, 0.6]), _measured(0.4, [0.4, 0.4])]
  base = [_measured(0.3, [0.3, 0.2]), _measured(0.4, [0.4, 0.2])]
  found = measuring.difference(mine, base, "link_ap")
  assert found["mean"] == pytest.approx(0.1)
  assert found["spread"] == pytest.approx(np.sqrt(0.02))
  # Each resample's difference is averaged over seeds: .1 and .3.
  assert found["interval"] == pytest.approx([0.105, 0.295])
  assert measuring.difference(mine, base, "probe_auc")["interval"] is None
  assert measuring.difference(mine[:1], base[:1], "link_ap")["spread"] is None


def _report(change: float, interval: list[float], spread: float | None):
  numbers = {"values": [0.5], "mean": 0.5}
  found = {"mean": change, "spread": spread, "interval": interval}
  row = {"paper": "", "norm": 1.0, "labels": 2}
  baseline = row | dict.fromkeys(measuring.MEASURES, numbers)
  other = row | dict.fromkeys(
    measuring.MEASURES, numbers | {"difference": found}
  )
  return {
    "seeds": 1 if spread is None else 2,
    "steps_scale": 1.0,
    "recordings": 9,
    "labels": 2,
    "variants": {"baseline": baseline, "no_mining": other},
  }


@pytest.mark.parametrize(
  ("change", "interval", "spread", "verdict"),
  [
    (-0.2, [-0.3, -0.1], None, "as the paper says"),
    (0.2, [0.1, 0.3], 0.1, "the other way round"),
    (-0.2, [-0.5, 0.1], 0.1, "no clear difference"),
    (-0.2, [-0.3, -0.1], 0.3, "no clear difference"),
  ],
)
def test_a_statement_holds_beyond_recordings_and_seeds(
  change, interval, spread, verdict
):
  text = table.text(_report(change, interval, spread))
  assert f"from baseline: {verdict}" in text
  line = next(t for t in text.splitlines() if t.startswith("no_mining "))
  assert f"{'-' if change < 0 else '+'}.200" in line
  assert ("*" in line) == (interval[0] > 0 or interval[1] < 0)


def _write_dataset(
  folder: pathlib.Path, words: list[str], prefix: str = "id"
) -> str:
  """Three groups in sound, words and graph; one word for each group."""
  random = np.random.default_rng(0)
  files.make_dirs(str(folder))
  num = sum(_SPLITS.values())
  vocabulary = ["low", "middle", "high"]
  records = []
  for index in range(num):
    levels = random.integers(0, 120, (310, 64))
    levels[:, 20 * (index % 3) : 20 * (index % 3) + 20] += 60
    word = vocabulary[index % 3]
    labels = [words.index(word)] if word in words else []
    records.append(
      schema.RecordingRecord(
        f"{prefix}{index}",
        "",
        "",
        np.array(labels, np.int64),
        levels.astype(np.uint8),
      )
    )
  entries, start = [], 0
  for split, size in _SPLITS.items():
    chunk = records[start : start + size]
    name = files.shard_name(split, 0, 1)
    entries += writer.write_recordings(str(folder), name, chunk)
    start += size
  group = np.arange(num) % 3
  likely = np.where(group[:, None] == group[None], 0.8, 0.1)
  pairs = np.argwhere(np.triu(random.random((num, num)) < likely, k=1))
  graph = graph_lib.Graph.from_edges(
    num, pairs[:, 0], pairs[:, 1], np.full(len(pairs), 3)
  )
  entries += writer.write_graph(str(folder), graph, vertices_per_shard=100)
  entries.append(writer.write_vocabulary(str(folder), words, [9] * len(words)))
  manifest.Manifest(
    front_end=types.LogMelFrontEnd(),
    quantization=types.Quantization.default(types.LogMelFrontEnd()),
    seed=0,
    options={},
    inputs={},
    splits=dict(_SPLITS),
    counts={"labels": len(words)},
    files=tuple(entries),
  ).save(str(folder))
  return str(folder)


def _train(dataset: str, workdir: pathlib.Path) -> None:
  configured = config.load(
    train.train,
    gin_files=["gin/runs/demo_label_only.gin"],
    gin_params=[
      f"DATASET = {dataset!r}",
      "TRAIN_STEPS = 1",
      "BATCH_WINDOWS = 2",
      "small_cnn.SmallCNN.width_multiplier = 0.2",
      "train.train.validation = None",
    ],
    given=("workdir", "texts", "dry_run"),
  )
  train.train(
    workdir=str(workdir),
    texts=train.RunTexts(configured.config_text, configured.operative_text),
    **configured.arguments,
  )


def test_another_vocabulary_is_compared_on_the_labels_of_both(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(_ROOT)
  dataset = _write_dataset(tmp_path / "dataset", ["low", "middle", "high"])
  fewer = _write_dataset(tmp_path / "fewer", ["high", "low"])
  _train(dataset, tmp_path / "seed_0" / "whole")
  _train(fewer, tmp_path / "seed_0" / "fewer_run")
  chosen = [
    variants.Variant("baseline", (variants.Run("whole", ()),), ""),
    variants.Variant(
      "fewer", (variants.Run("fewer_run", (), dataset="fewer"),), ""
    ),
  ]
  bench = measuring.Bench(dataset, num_bootstrap=20, min_occurrences=4)
  report = measuring.compare(bench, _places(tmp_path), chosen, seeds=1)
  whole, other = (report["variants"][v.name] for v in chosen)
  assert (report["labels"], whole["labels"], other["labels"]) == (3, 3, 2)

  # By hand: the two columns in the order of the labels under test.
  both = [i for i, n in enumerate(bench.task.label_ids) if n in (0, 2)]
  positive = bench.task.positive[:, both]
  scores = [
    np.load(tmp_path / "embedded" / f"{name}_seed_0.npz")["scores"]
    for name in ("whole", "fewer_run")
  ]
  aucs = [
    np.mean(
      [
        np.mean(np.sign(s[p][:, None] - s[~p][None]) * 0.5 + 0.5)
        for p, s in zip(positive.T, columns.T, strict=True)
      ]
    )
    for columns in (scores[0][:, both], scores[1])
  ]
  assert other["label_auc"]["mean"] == pytest.approx(aucs[1])
  assert other["label_auc"]["difference"]["mean"] == pytest.approx(
    aucs[1] - aucs[0]
  )
  assert other["norm"] <= 1.0
  text = table.text(report)
  assert "fewer has 2 of them" in text


def test_a_dataset_of_other_recordings_is_refused(tmp_path):
  dataset = _write_dataset(tmp_path / "dataset", ["low", "middle", "high"])
  bench = measuring.Bench(dataset, num_bootstrap=2, min_occurrences=4)
  other = _write_dataset(tmp_path / "other", ["low"], prefix="other")
  with pytest.raises(errors.DataError, match="not the recordings and splits"):
    bench.embed(tmp_path / "run", other, tmp_path / "cache.npz")


def test_help_names_the_command():
  result = subprocess.run(
    [sys.executable, "tools/ablations.py", "--help"],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0
  assert "--steps_scale" in result.stdout
