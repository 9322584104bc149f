"""Tests of music_embed.runs.export: what a card says of a real run."""

import json
import pathlib
import shutil

import pytest
import soundfile
import tiny_runs

from music_embed.core import errors
from music_embed.data.records import prepared
from music_embed.export import check_sounds, exported
from music_embed.runs import evaluate, export, export_facts

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _train(gin_file, dataset, workdir, *params):
  return tiny_runs.run_gin(
    gin_file,
    dataset,
    str(workdir),
    "TRAIN_STEPS = 2",
    "loop.LoopOptions.summary_steps = 1",
    "loop.LoopOptions.validation_steps = 2",
    "validation.Validation.min_occurrences = 1",
    "small_cnn.SmallCNN.width_multiplier = 0.125",
    *params,
  )


@pytest.fixture(scope="module")
def runs(tiny_dataset, tmp_path_factory) -> pathlib.Path:
  """A triplet stage and a label stage, moved once they were trained."""
  root = tmp_path_factory.mktemp("private_name")
  with pytest.MonkeyPatch().context() as context:
    context.chdir(_ROOT)
    triplet = _train(
      "gin/runs/demo_triplet.gin",
      tiny_dataset,
      root / "before" / "triplet",
      "BATCH_TRIPLETS = 2",
    )
    _train(
      "gin/runs/demo_label.gin",
      tiny_dataset,
      root / "before" / "label",
      "BATCH_WINDOWS = 4",
      f"WARM_START = {triplet!r}",
    )
  shutil.move(root / "before", root / "after")
  return root / "after"


@pytest.fixture(scope="module")
def reported(runs, tiny_dataset, tmp_path_factory) -> str:
  output = str(tmp_path_factory.mktemp("report"))
  evaluate.evaluate(
    dataset=tiny_dataset,
    models={"hybrid": str(runs / "label")},
    output=output,
    num_bootstrap=10,
    min_occurrences=1,
    num_factors=(3,),
    batch_windows=32,
  )
  return f"{output}/report.json"


@pytest.fixture(scope="module")
def card(runs, tiny_dataset, reported, tmp_path_factory) -> pathlib.Path:
  """The folder of an export with a file of sound and a report."""
  folder = tmp_path_factory.mktemp("export")
  sound = folder / "secret song.wav"
  soundfile.write(sound, check_sounds.synthesised(0, 4.0, 16_000), 16_000)
  said = export.export(
    model=str(runs / "label"),
    dataset=tiny_dataset,
    output=str(folder / "model"),
    formats=["saved_model", "tflite"],
    check_audio=[str(sound)],
    report=reported,
    license="CC BY 4.0.",
  )
  assert "model.tflite" in said.splitlines()[1]
  return folder / "model"


def test_a_card_says_of_what_and_how_a_network_was_trained(
  card, tiny_dataset
) -> None:
  found = json.loads((card / "model.json").read_text())
  data = prepared.PreparedDataset(tiny_dataset)
  splits = data.manifest.splits
  assert found["data"]["splits"] == splits
  assert found["data"]["recordings"] == sum(splits.values())
  assert found["data"]["edges"] == data.manifest.counts["edges"]
  assert found["data"]["fingerprint"] == data.fingerprint
  assert found["labels"] == {
    "labels": len(data.vocabulary),
    "terms": len(data.vocabulary),
    "senses": 0,
  }
  triplet, label = found["training"]
  assert (triplet["name"], label["name"]) == ("triplet", "label")
  assert [x["name"] for x in triplet["objectives"]] == ["TripletObjective"]
  assert [x["name"] for x in label["objectives"]] == ["LabelSoftmaxObjective"]
  assert (label["steps"], label["windows_per_step"]) == (2, 4)
  assert triplet["starts_from"] is None
  assert label["starts_from"] == {
    "stage": "triplet",
    "parts": ["backbone", "projection"],
    "checkpoint": "last",
    "is_known": True,
  }
  assert label["exported_step"] == 2
  # As gin/runs/demo_label.gin says.
  rates = {tuple(x["parts"]): x["learning_rate"] for x in label["optimizers"]}
  assert rates == {
    ("backbone", "projection"): 2e-4,
    ("label_head",): 1e-2,
  }


def test_a_card_states_the_figures_of_the_report(card, reported) -> None:
  found = json.loads((card / "model.json").read_text())
  report = json.loads(pathlib.Path(reported).read_text())
  rows = found["measured"]["rows"]
  assert set(rows) == set(report["link"])
  for system, row in rows.items():
    assert row["link AP"][0] == report["link"][system]["ap"]
    assert row["link AP"][1:] == report["intervals"]["link"][system]["ap"]
    assert row["label AUC"][0] == report["label"][system]["auc"]
  readme = (card / "README.md").read_text()
  assert f"| hybrid | {report['link']['hybrid']['ap']:.3f} (" in readme
  for said in (
    "Of the weights: CC BY 4.0.",
    "2 steps of 4 windows; seed 0; augmentation: RandomEq",
    "starts from backbone, projection of `triplet` (last checkpoint)",
    "audio files (1 recordings, 4 s, 2 windows)",
  ):
    assert said in readme


def test_a_card_names_no_path_and_no_file(card, runs, tiny_dataset) -> None:
  for name in ("model.json", "README.md"):
    text = (card / name).read_text()
    for private in (
      "private_name",
      "secret song",
      "report.json",
      str(pathlib.Path(tiny_dataset).parent),
    ):
      assert private not in text


def test_the_same_export_is_left_alone_and_another_licence_is_another(
  card, runs, tiny_dataset, reported
) -> None:
  before = {p: p.stat().st_mtime_ns for p in card.rglob("*")}
  arguments = {
    "model": str(runs / "label"),
    "dataset": tiny_dataset,
    "output": str(card),
    "formats": ["tflite"],
    "check_audio": [str(card.parent / "secret song.wav")],
    "report": reported,
  }
  export.export(license="CC BY 4.0", **arguments)
  assert {p: p.stat().st_mtime_ns for p in card.rglob("*")} == before
  with pytest.raises(errors.ConfigError, match="already holds something else"):
    export.export(license="MIT", **arguments)


def test_an_export_names_labels_with_their_frequencies(
  card, tiny_dataset
) -> None:
  data = prepared.PreparedDataset(tiny_dataset)
  names = exported.Exported(str(card)).label_names
  assert list(names.labels) == list(data.vocabulary)
  assert names.counts.tolist() == data.label_counts.tolist()


def test_without_a_report_the_card_states_the_runs_validation(runs) -> None:
  rows = [
    json.loads(line)
    for line in (runs / "label" / "history.jsonl").read_text().splitlines()
  ]
  (row,) = (row for row in rows if row["split"] == "validation")
  found = export_facts.validation(str(runs / "label"))
  assert found["rows"] == {
    "label": {k: v for k, v in row.items() if k not in ("step", "split")}
  }
  assert "validation part" in found["what"]


def test_a_stage_whose_beginning_is_gone_says_so(
  runs, tmp_path: pathlib.Path
) -> None:
  shutil.copytree(runs / "label", tmp_path / "alone")
  (stage,) = export_facts.training(str(tmp_path / "alone"))
  assert stage["starts_from"]["stage"] == "triplet"
  assert not stage["starts_from"]["is_known"]


def test_a_report_of_another_network_is_refused(
  runs, tiny_dataset, reported, tmp_path: pathlib.Path
) -> None:
  data = prepared.PreparedDataset(tiny_dataset)
  triplet = str(runs / "triplet")
  with pytest.raises(errors.ConfigError, match="has not measured .*triplet"):
    export_facts.measured(reported, triplet, data)
  with pytest.raises(errors.ConfigError, match="nowhere.json: no such file"):
    export_facts.measured(str(tmp_path / "nowhere.json"), triplet, data)
  report = json.loads(pathlib.Path(reported).read_text())
  for changed, message in (
    ({"links": 1}, "not a report.json of launch/evaluate.py"),
    ([], "not a report.json of launch/evaluate.py"),
    (
      report | {"inputs": report["inputs"] | {"dataset": "0"}},
      "is of another dataset",
    ),
  ):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(changed))
    with pytest.raises(errors.ConfigError, match=message):
      export_facts.measured(str(path), triplet, data)


@pytest.mark.parametrize(("cosine", "warns"), [(0.9991, False), (0.98, True)])
def test_a_file_that_is_not_near_is_warned_of(cosine: float, warns: bool):
  line = export.said_of(
    {
      "file": "model.int8.tflite",
      "bytes": 1_234,
      "compared": {"recording_embedding": {"min_cosine": cosine}},
    }
  )
  assert line.startswith("export: model.int8.tflite, 1,234 bytes: cosine")
  assert ("measure what that costs" in line) == warns
