"""A label stage with the sharded head, from gin to the exported model."""

import json
import pathlib
import types

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from music_embed.data.records import prepared
from music_embed.export import saved_model
from music_embed.models.heads import label_softmax
from music_embed.runs import config, restore, train
from music_embed.training import history, optimizers, warm_start

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_KERNEL = "parts/label_head/kernel/.ATTRIBUTES/VARIABLE_VALUE"
_PLAIN, _SHARDED = [], ["gin/heads/sharded.gin"]


def _train(dataset, workdir, files, strategy, **changes):
  configured = config.load(
    train.train,
    gin_files=["gin/runs/demo_label_only.gin", *files],
    gin_params=[
      f"DATASET = {dataset!r}",
      "TRAIN_STEPS = 3",
      "BATCH_WINDOWS = 8",
      "loop.LoopOptions.summary_steps = 1",
      "loop.LoopOptions.validation_steps = 3",
      "validation.Validation.min_occurrences = 1",
    ],
    given=("workdir", "texts", "dry_run"),
  )
  arguments = configured.arguments | changes
  if strategy is not None:
    arguments["strategy"] = types.SimpleNamespace(
      create=lambda: strategy, jit_compile=False
    )
  train.train(
    workdir=str(workdir),
    texts=train.RunTexts(configured.config_text, configured.operative_text),
    **arguments,
  )


@pytest.fixture(scope="module")
def runs(tiny_dataset, mirrored, tmp_path_factory):
  """Directories of a plain run on one device, a sharded one on two."""
  root = tmp_path_factory.mktemp("sharded")
  patch = pytest.MonkeyPatch()
  with patch.context() as context:
    context.chdir(_ROOT)
    _train(tiny_dataset, root / "plain", _PLAIN, None)
    _train(tiny_dataset, root / "sharded", _SHARDED, mirrored(2))
  return {"plain": str(root / "plain"), "sharded": str(root / "sharded")}


def test_it_trains_and_validates_as_the_plain_head_does(runs) -> None:
  """To what float32 leaves of three steps on two replicas."""
  plain, sharded = (
    history.read(f"{runs[kind]}/history.jsonl") for kind in ("plain", "sharded")
  )
  assert len(plain) == len(sharded) == 4
  for a, b in zip(plain, sharded, strict=True):
    assert a.keys() == b.keys()
    for name in ("label_softmax/loss", "gradient_norm/label_head", "label_auc"):
      if name in a:
        np.testing.assert_allclose(b[name], a[name], rtol=2e-2)
  first, last = plain[0], plain[-1]
  assert "label_softmax/loss" in first
  assert "label_auc" in last
  np.testing.assert_allclose(
    sharded[0]["label_softmax/loss"], first["label_softmax/loss"], rtol=1e-5
  )


def test_its_run_is_read_and_exported_with_a_plain_head(
  runs, tiny_dataset, tmp_path
) -> None:
  data = prepared.PreparedDataset(tiny_dataset)
  model = restore.load_embedder(runs["sharded"], data, "last")
  assert type(model.label_head) is label_softmax.LabelSoftmaxHead
  kernel = tiny_runs.variables(runs["sharded"])[_KERNEL]
  assert kernel.shape[0] == len(data.vocabulary)
  np.testing.assert_array_equal(model.label_head.kernel, kernel)
  saved_model.save(
    model,
    str(tmp_path / "export"),
    front_end=data.front_end,
    vocabulary=data.vocabulary,
  )
  values = tf.train.load_checkpoint(
    str(tmp_path / "export" / "variables" / "variables")
  )
  shapes = values.get_variable_to_shape_map()
  (whole,) = (name for name in shapes if shapes[name] == list(kernel.shape))
  np.testing.assert_array_equal(values.get_tensor(whole), kernel)
  card = json.loads((tmp_path / "export" / "model.json").read_text())
  assert card["num_labels"] == len(data.vocabulary)


@pytest.mark.parametrize(
  ("before", "files", "replicas"),
  [("plain", _SHARDED, 2), ("sharded", _PLAIN, 1), ("sharded", _SHARDED, 1)],
)
def test_either_head_starts_warm_from_the_other(
  before, files, replicas, runs, tiny_dataset, mirrored, tmp_path, monkeypatch
) -> None:
  """With a learning rate of zero it stays what it was given."""
  monkeypatch.chdir(_ROOT)
  _train(
    tiny_dataset,
    tmp_path / "after",
    files,
    mirrored(2) if replicas == 2 else None,
    warm_start=warm_start.WarmStart(
      runs[before], ("backbone", "projection", "label_head"), "last"
    ),
    optimizers=[optimizers.PartOptimizer(("label_head",), 0.0)],
  )
  np.testing.assert_array_equal(
    tiny_runs.variables(tmp_path / "after")[_KERNEL],
    tiny_runs.variables(runs[before])[_KERNEL],
  )
