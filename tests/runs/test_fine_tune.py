"""Networks trained on a benchmark: from where, on what, and the same again."""

import dataclasses
import json
import os
import pathlib
import signal
import time
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
import tf_keras
import tiny_tagged

from music_embed.audio import augment as augment_lib
from music_embed.core import errors
from music_embed.export import exported, saved_model
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import projection
from music_embed.runs import fine_tune
from music_embed.training import history, interruption

_QUICK = fine_tune.FineTune(
  steps=4,
  batch_windows=4,
  validation_steps=2,
  patience_steps=None,
  warmup_steps=1,
)


@dataclasses.dataclass(frozen=True)
class _Bench:
  """A tiny benchmark and a tiny export, in a folder of their own."""

  folder: pathlib.Path
  made: tiny_tagged.TinyTagged
  model: exported.Exported

  def run(
    self,
    mode: str = "warm_start",
    options: fine_tune.FineTune = _QUICK,
    *,
    workdir: str = "run",
    rows: Any = None,
    seed: int = 0,
    strategy: Any = None,
  ) -> fine_tune.FineTuned:
    return fine_tune.run(
      mode,
      self.model,
      self.made.task,
      self.made,
      self.made.task.rows("train") if rows is None else np.asarray(rows),
      str(self.folder / workdir),
      str(self.folder / "cache"),
      options,
      seed,
      strategy,
    )


def _export(folder: pathlib.Path) -> exported.Exported:
  tf_keras.utils.set_random_seed(5)
  network = embedder_lib.Embedder(
    backbone=small_cnn.SmallCNN(batch_norm_momentum=0.9),
    projection=projection.Projection(dim=8),
  )
  rng = np.random.default_rng(6)
  windows = rng.normal(size=(8, 256, 16)).astype(np.float32)
  network(windows, training=True)  # Moving moments that matter.
  saved_model.save(
    network,
    str(folder / "export"),
    front_end=tiny_tagged.FRONT_END,
    vocabulary=[],
  )
  return exported.Exported(str(folder / "export"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> exported.Exported:
  return _export(tmp_path_factory.mktemp("model"))


@pytest.fixture
def bench(tmp_path: pathlib.Path, model: exported.Exported) -> _Bench:
  made = tiny_tagged.make(tmp_path / "audio", undecodable=[2, 13, 25])
  return _Bench(tmp_path, made, model)


def _first_weights(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """The network's variables in the checkpoint of step 0."""
  folder = workdir / "checkpoints"
  (path,) = folder.glob("*-0.index")
  reader = tf.train.load_checkpoint(str(path)[: -len(".index")])
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if name.startswith(("parts/backbone", "parts/projection"))
    and "OPTIMIZER" not in name
  }


def _assert_same(a: fine_tune.FineTuned, b: fine_tune.FineTuned) -> None:
  for split in ("validation", "evaluation"):
    np.testing.assert_array_equal(a.scores[split], b.scores[split])
  assert a.best_step == b.best_step
  assert a.validation_auc == b.validation_auc


def test_tones_are_learnt_and_what_cannot_be_decoded_has_no_scores(
  tmp_path: pathlib.Path, model: exported.Exported
) -> None:
  made = tiny_tagged.make(
    tmp_path / "audio", sizes=(48, 12, 12), undecodable=[2, 49, 65]
  )
  options = dataclasses.replace(
    _QUICK,
    steps=100,
    batch_windows=16,
    validation_steps=50,
    cold_learning_rates=(3e-3,),
  )
  found = _Bench(tmp_path, made, model).run("cold_start", options)
  assert sorted(found.rejected) == [2, 49, 65]
  for split, missing in (("validation", 1), ("evaluation", 5)):
    scores = found.scores[split]
    assert scores.shape == (12, 3)
    assert np.isnan(scores[missing]).all()
    used = np.arange(12) != missing
    assert ((scores[used] > 0) & (scores[used] < 1)).all()
    targets = made.task.targets[made.task.rows(split)][used]
    auc = sklearn.metrics.roc_auc_score(targets, scores[used])
    assert auc > 0.9
    if split == "validation":
      assert found.validation_auc == pytest.approx(auc)
  assert (found.learning_rate, found.steps) == (3e-3, 100)
  assert found.best_step in (50, 100)
  assert found.seconds > 0


def test_a_warm_start_begins_at_the_exports_weights(bench: _Bench) -> None:
  options = dataclasses.replace(_QUICK, steps=1, validation_steps=1)
  bench.run("warm_start", options, workdir="warm", seed=1)
  bench.run("cold_start", options, workdir="cold", seed=1)
  warm = _first_weights(bench.folder / "warm" / "warm_start_0.0001")
  cold = _first_weights(bench.folder / "cold" / "cold_start_0.001")
  trained = bench.model.embedder("trained").variables
  fresh = bench.model.embedder("fresh", seed=1).variables
  for found, expected in ((warm, trained), (cold, fresh)):
    assert sorted(value.tobytes() for value in found.values()) == sorted(
      variable.numpy().tobytes() for variable in expected
    )
  assert any((warm[name] != cold[name]).any() for name in warm)


def test_two_runs_give_the_same_numbers(bench: _Bench) -> None:
  options = dataclasses.replace(_QUICK, hidden_units=6)
  one = bench.run(options=options, workdir="one")
  _assert_same(one, bench.run(options=options, workdir="two"))
  again = bench.run(options=options, workdir="one")  # Takes over what is there.
  _assert_same(one, again)
  assert again.seconds == one.seconds


class _Signal:
  """An augmentation that sends SIGTERM to this process at its n-th call."""

  def __init__(self, call: int | None) -> None:
    def send(windows: tf.Tensor) -> tf.Tensor:
      calls.append(1)
      if len(calls) == call:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)  # The step ends after the signal has been seen.
      return windows

    calls: list[int] = []
    self.__dict__.clear()
    _SENDERS[id(self)] = send

  def __call__(self, windows: tf.Tensor, *context: Any) -> tf.Tensor:
    del context
    same = tf.py_function(_SENDERS[id(self)], [windows], windows.dtype)
    return tf.ensure_shape(same, windows.shape)


_SENDERS: dict[int, Any] = {}


def test_an_interrupted_run_goes_on_to_the_same_numbers(bench: _Bench) -> None:
  quiet = dataclasses.replace(_QUICK, augment=_Signal(None))
  whole = bench.run(options=quiet, workdir="whole")
  noisy = dataclasses.replace(_QUICK, augment=_Signal(3))
  with pytest.raises(interruption.Interrupted, match="stopped at step 3"):
    bench.run(options=noisy, workdir="cut")
  _assert_same(whole, bench.run(options=quiet, workdir="cut"))


def test_of_several_learning_rates_validation_chooses_one(
  bench: _Bench,
) -> None:
  slow, fast = (
    dataclasses.replace(_QUICK, warm_learning_rates=(rate,))
    for rate in (1e-5, 1e-2)
  )
  single = [bench.run(options=one, workdir="both") for one in (slow, fast)]
  assert single[0].validation_auc != single[1].validation_auc
  best = int(single[1].validation_auc > single[0].validation_auc)
  rates = (1e-5, 1e-2)
  # Both runs are there already.
  both = dataclasses.replace(_QUICK, warm_learning_rates=rates)
  found = bench.run(options=both, workdir="both")
  assert found.learning_rate == rates[best]
  _assert_same(found, single[best])
  folders = {path.name for path in (bench.folder / "both").iterdir()}
  assert folders == {"warm_start_1e-05", "warm_start_0.01"}
  assert found.seconds == pytest.approx(sum(one.seconds for one in single))


def test_a_run_on_other_clips_needs_another_directory(bench: _Bench) -> None:
  bench.run(rows=[0, 1, 2, 3], workdir="few")
  with pytest.raises(errors.ConfigError, match=r"fine_tune\.clips"):
    bench.run(rows=[0, 4, 5], workdir="few")
  with pytest.raises(errors.DataError, match="none of 1 training clips"):
    bench.run(rows=[2], workdir="none")


def test_patience_ends_a_run_that_does_not_get_better(bench: _Bench) -> None:
  options = dataclasses.replace(
    _QUICK,
    steps=50,
    patience_steps=4,
    warm_learning_rates=(1e-9,),
    head_learning_rate=1e-9,
  )
  found = bench.run(options=options)
  assert found.steps == found.best_step + 4 < 50
  rows = history.read(
    str(bench.folder / "run" / "warm_start_1e-09" / history.FILE_NAME)
  )
  validated = [row["tag_auc"] for row in rows if row["split"] == "validation"]
  assert len(validated) == found.steps // 2
  assert max(validated) == pytest.approx(found.validation_auc)


def test_without_validation_clips_the_last_step_is_taken(
  tmp_path: pathlib.Path, model: exported.Exported
) -> None:
  made = tiny_tagged.make(tmp_path / "audio", sizes=(6, 0, 4))
  options = dataclasses.replace(_QUICK, patience_steps=2)
  found = _Bench(tmp_path, made, model).run(options=options)
  assert np.isnan(found.validation_auc)
  assert found.best_step == found.steps == 4
  assert found.scores["validation"].shape == (0, 3)
  assert np.isfinite(found.scores["evaluation"]).all()


def test_replicas_share_a_batch(bench: _Bench, mirrored: Any) -> None:
  class Two:
    def create(self) -> tf.distribute.Strategy:
      return mirrored(2)

  options = dataclasses.replace(_QUICK, steps=2)
  shared = bench.run(options=options, workdir="shared", strategy=Two())
  alone = bench.run(options=options, workdir="alone")
  other = bench.run(options=options, workdir="other", seed=1)
  for split, scores in alone.scores.items():
    error = np.nanmax(np.abs(shared.scores[split] - scores))
    assert error < 0.05 * np.nanmax(np.abs(other.scores[split] - scores))


def test_an_augmentation_is_part_of_what_decides(bench: _Bench) -> None:
  options = dataclasses.replace(
    _QUICK, augment=augment_lib.RandomEq(gain_db=3.0)
  )
  described = json.loads(json.dumps(options.describe("cold_start")))
  assert described["augment"]["gain_db"] == 3.0
  assert described["learning_rates"] == [1e-3]
  bench.run(options=options)
  louder = dataclasses.replace(
    _QUICK, augment=augment_lib.RandomEq(gain_db=6.0)
  )
  with pytest.raises(errors.ConfigError, match="'gain_db': 6.0"):
    bench.run(options=louder)


def test_wrong_options_are_refused(bench: _Bench) -> None:
  with pytest.raises(errors.ConfigError, match="lukewarm"):
    bench.run("lukewarm")
  with pytest.raises(errors.ConfigError, match="cold_start must be positive"):
    fine_tune.FineTune(cold_learning_rates=())
  with pytest.raises(errors.ConfigError, match="less than validation_steps"):
    fine_tune.FineTune(validation_steps=50, patience_steps=20)
  with pytest.raises(errors.ConfigError, match="at least 1"):
    fine_tune.FineTune(steps=0)
  old = bench.folder / "old"
  os.makedirs(old)
  card = dict(bench.model.card)
  del card["network"]
  (old / "model.json").write_text(json.dumps(card))
  unnamed = dataclasses.replace(bench, model=exported.Exported(str(old)))
  with pytest.raises(errors.ConfigError, match="export it again"):
    unnamed.run()
