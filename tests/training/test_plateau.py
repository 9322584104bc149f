import math

import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.training import plateau as plateau_lib


def _plateau(**kwargs):
  options = {
    "measure": "loss",
    "patience_steps": 30,
    "smoothing": 0.0,
    "min_relative_change": 0.1,
  }
  plateau = plateau_lib.Plateau(**{**options, **kwargs})
  plateau.build()
  return plateau


def test_a_falling_loss_is_not_level():
  plateau = _plateau()
  assert not any(plateau.update(10 * i, 0.8**i) for i in range(1, 20))


def test_a_flat_loss_is_level_once_patience_has_run_out():
  plateau = _plateau()
  level = [plateau.update(step, 1.0) for step in (10, 20, 30, 40, 50)]
  assert level == [False, False, False, True, True]


def test_a_betterment_below_the_relative_change_does_not_count():
  plateau = _plateau()
  plateau.update(10, 1.0)
  plateau.update(20, 0.95)  # 5 %: less than the 10 % asked for.
  assert plateau.update(40, 0.95)


def test_a_score_to_maximise_counts_upwards():
  plateau = _plateau(mode="max")
  assert not any(plateau.update(10 * i, 0.1 * i) for i in range(1, 9))
  assert plateau.update(110, 0.8)


def test_the_smoothed_value_is_the_exponential_mean():
  plateau = _plateau(smoothing=0.75)
  for step, value in ((1, 4.0), (2, 8.0), (3, 0.0)):
    plateau.update(step, value)
  # 4; .75 * 4 + .25 * 8 = 5; .75 * 5 + .25 * 0 = 3.75.
  assert float(plateau.smoothed.numpy()) == pytest.approx(3.75)


def test_it_is_never_level_before_min_steps():
  plateau = _plateau(min_steps=100)
  assert not any(plateau.update(step, 1.0) for step in range(10, 100, 10))
  assert plateau.update(100, 1.0)


def test_its_state_is_saved_and_restored_with_a_checkpoint(tmp_path):
  plateau = _plateau(smoothing=0.5)
  plateau.update(10, 2.0)
  path = tf.train.Checkpoint(plateau=plateau).write(str(tmp_path / "c"))
  other = _plateau(smoothing=0.5)
  assert math.isnan(float(other.smoothed.numpy()))
  tf.train.Checkpoint(plateau=other).read(path).assert_consumed()
  assert float(other.smoothed.numpy()) == 2.0
  assert int(other.best_step.numpy()) == 10


def test_it_stays_as_it_was_at_its_last_value(tmp_path):
  """A run that is interrupted between two values must not end there."""
  plateau = _plateau(patience_steps=15)
  assert not plateau.update(10, 1.0)
  assert not plateau.update(20, 1.0)
  assert not plateau.is_level
  assert plateau.update(30, 1.0)
  assert plateau.is_level


def test_losses_fall_and_validation_measures_rise():
  falling = _plateau(measure="triplet/loss", patience_steps=10)
  rising = _plateau(measure="validation/link_ap", patience_steps=10)
  for step, value in ((10, 1.0), (20, 2.0)):
    falling.update(step, value)
    rising.update(step, value)
  assert falling.is_level
  assert not rising.is_level


def test_a_measure_that_the_validation_does_not_give_is_named():
  rising = _plateau(measure="validation/link_app")
  with pytest.raises(errors.ConfigError, match=r"link_app'.*only link_ap"):
    rising.value_in({"link_ap": 0.5})
  assert (
    _plateau(measure="validation/link_ap").value_in({"link_ap": 0.5}) == 0.5
  )


@pytest.mark.parametrize(
  "wrong",
  [
    {"mode": "least"},
    {"smoothing": 1.0},
    {"smoothing": -0.1},
    {"patience_steps": 0},
    {"min_steps": -1},
    {"min_relative_change": -0.5},
    {"measure": "triplet/mined"},  # More or less of it: who knows.
  ],
)
def test_options_out_of_range_are_refused(wrong):
  culprit = "mode" if "measure" in wrong else next(iter(wrong))
  with pytest.raises(errors.ConfigError, match=f"Plateau.{culprit}"):
    _plateau(**wrong)


@pytest.mark.parametrize(
  ("rule", "given", "culprit"),
  [
    ({"measure": "a/loss"}, {}, "'a/loss': there are only triplet/loss"),
    (
      {"measure": "validation/x"},
      {"validation_steps": None},
      "'validation/x', but the stage has no validation",
    ),
    (
      {"measure": "triplet/loss", "patience_steps": 9},
      {},
      "patience_steps is 9, but 'triplet/loss' comes every 10",
    ),
    (
      {"measure": "validation/x", "patience_steps": 99},
      {},
      "patience_steps is 99, but 'validation/x' comes every 100",
    ),
  ],
)
def test_a_rule_that_the_stage_cannot_follow_is_refused(rule, given, culprit):
  stage = {
    "train_measures": ("triplet/loss",),
    "summary_steps": 10,
    "validation_steps": 100,
  }
  with pytest.raises(errors.ConfigError, match=culprit):
    _plateau(**rule).check(**{**stage, **given})
