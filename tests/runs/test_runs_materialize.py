"""Training from materialised batches is training from the dataset."""

import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.data.pipeline import labelled, materialized, triplets
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import projection
from music_embed.objectives import label_softmax, triplet
from music_embed.runs import materialize, train
from music_embed.training import loop, optimizers, task

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SEED = 5


def _triplet_task(source: Any = None) -> task.Task:
  positioned = triplets.TripletSource(batch_triplets=4)
  return task.Task(triplet.TripletObjective(), source or positioned)


def _label_task() -> task.Task:
  return task.Task(
    label_softmax.LabelSoftmaxObjective(),
    labelled.LabelledSource(batch_windows=4),
  )


def _train(
  dataset: str, workdir: pathlib.Path, source: Any = None, steps: int = 5
) -> dict[str, np.ndarray]:
  train.train(
    workdir=str(workdir),
    dataset=dataset,
    embedder=embedder_lib.Embedder(
      backbone=small_cnn.SmallCNN(width_multiplier=0.125),
      projection=projection.Projection(dim=8),
    ),
    tasks=[_triplet_task(source)],
    optimizers=[optimizers.PartOptimizer(("backbone", "projection"), 1e-2)],
    loop=loop.LoopOptions(steps, summary_steps=1, validation_steps=2),
    seed=_SEED,
  )
  path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
  reader = tf.train.load_checkpoint(path)
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
  }


def _materialize(dataset: str, output: pathlib.Path, **changes: Any) -> None:
  arguments = {
    "tasks": [_triplet_task()],
    "seed": _SEED,
    "num_steps": 5,
    "steps_per_shard": 1,
    "lanes": 2,
    "num_workers": 1,
  }
  materialize.materialize(
    output=str(output), dataset=dataset, **arguments | changes
  )


def test_a_run_on_materialised_batches_ends_with_the_same_weights(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  _materialize(tiny_dataset, tmp_path / "batches")
  source = materialized.MaterializedSource(paths=str(tmp_path / "batches"))
  expected = _train(tiny_dataset, tmp_path / "positioned")
  found = _train(tiny_dataset, tmp_path / "materialised", source)
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_too_few_batches_are_refused_before_anything_is_written(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  _materialize(tiny_dataset, tmp_path / "batches", num_steps=4)
  source = materialized.MaterializedSource(paths=str(tmp_path / "batches"))
  with pytest.raises(errors.ConfigError, match="end at step 4: materialise"):
    _train(tiny_dataset, tmp_path / "run", source)
  assert not os.path.exists(tmp_path / "run")


def test_batches_that_begin_later_serve_a_run_that_is_there(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  expected = _train(tiny_dataset, tmp_path / "whole")
  _train(tiny_dataset, tmp_path / "resumed", steps=2)
  _materialize(tiny_dataset, tmp_path / "late", first_step=2, num_steps=3)
  late = materialized.MaterializedSource(paths=str(tmp_path / "late"))
  found = _train(tiny_dataset, tmp_path / "resumed", late)
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  with pytest.raises(errors.ConfigError, match="begin at step 2, but this"):
    _train(tiny_dataset, tmp_path / "new", late)
  assert not os.path.exists(tmp_path / "new")


def test_the_task_is_named_where_there_are_several(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  both = [_triplet_task(), _label_task()]
  with pytest.raises(errors.ConfigError, match="name one with --task"):
    _materialize(tiny_dataset, tmp_path / "batches", tasks=both)
  with pytest.raises(errors.ConfigError, match="--task=labels: the run has"):
    _materialize(tiny_dataset, tmp_path / "x", tasks=both, task="labels")
  name = both[1].objective.name
  _materialize(tiny_dataset, tmp_path / "batches", tasks=both, task=name)
  assert (tmp_path / "batches" / "materialized.json").exists()


def test_what_is_materialised_already_cannot_be_the_source(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  source = materialized.MaterializedSource(paths="somewhere")
  with pytest.raises(errors.ConfigError, match="cannot be materialised"):
    _materialize(
      tiny_dataset, tmp_path / "batches", tasks=[_triplet_task(source)]
    )


def _launch(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, f"launch/{script}.py", *arguments],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=150,
  )


def test_the_commands_materialise_and_train_from_one_gin_file(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  batches = tmp_path / "batches"
  settings = [
    f"--gin_param=DATASET = '{tiny_dataset}'",
    "--gin_param=BATCH_TRIPLETS = 4",
    "--gin_param=TRAIN_STEPS = 3",
    "--gin_file=gin/systems/huang2020/triplet_materialized.gin",
    f"--gin_param=BATCHES = '{batches}'",
  ]
  made = _launch("materialize", *settings, f"--output={batches}")
  assert made.returncode == 0, made.stderr
  assert "3 batches of 4 rows" in made.stderr
  workdir = f"--workdir={tmp_path / 'run'}"
  done = _launch("train", *settings, workdir, "--dry_run")
  assert done.returncode == 0, done.stderr
  done = _launch(
    "train", *settings, workdir, "--gin_param=train.train.seed = 1"
  )
  assert done.returncode == 2
  assert "with seed 0, but the run has seed 1" in done.stderr


def test_a_folder_of_other_files_is_left_alone(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  (tmp_path / "thesis.tex").touch()
  with pytest.raises(errors.DataError, match="holds files that are no batch"):
    _materialize(tiny_dataset, tmp_path)
  assert os.listdir(tmp_path) == ["thesis.tex"]


def test_batches_that_do_not_fit_on_the_disk_are_not_begun(
  tiny_dataset: str, tmp_path: pathlib.Path
) -> None:
  output = tmp_path / "batches"
  with pytest.raises(errors.DataError, match=r"GB and .* free; .*--num_steps"):
    _materialize(tiny_dataset, output, num_steps=10**12)
  assert not output.exists()


@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_shard_of_batches_is_one_line(
  tiny_dataset: str, tmp_path: pathlib.Path, missing: bool
) -> None:
  batches = tmp_path / "batches"
  _materialize(tiny_dataset, batches)
  shard = sorted(batches.glob("part-*"))[0]
  shard.write_bytes(shard.read_bytes()[:-1])
  if missing:
    shard.unlink()
  source = materialized.MaterializedSource(paths=str(batches))
  with pytest.raises(errors.DataError, match="cannot be read: .*again") as told:
    _train(tiny_dataset, tmp_path / "run", source)
  assert "\n" not in str(told.value)
  assert str(tmp_path / "run") in str(told.value)
