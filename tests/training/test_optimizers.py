import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.training import optimizers as optimizers_lib


def _options(**kwargs):
  return optimizers_lib.PartOptimizer(
    **{"parts": ("backbone",), "learning_rate": 0.1, **kwargs}
  )


def test_the_constant_rate_stays():
  rate = _options().create().learning_rate
  assert float(rate) == pytest.approx(0.1)


def test_cosine_decay_follows_its_formula():
  rate = _options(decay_steps=100).create()._learning_rate
  for step in (0, 25, 50, 100):
    expected = 0.1 * 0.5 * (1 + math.cos(math.pi * step / 100))
    assert float(rate(step)) == pytest.approx(expected, abs=1e-7)


def test_the_optimizer_is_not_the_legacy_one():
  optimizer = _options().create()
  assert isinstance(optimizer, tf_keras.optimizers.Adam)
  assert not isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer)


def test_options_reach_the_optimizer():
  optimizer = _options(optimizer_options={"epsilon": 0.5}).create()
  assert optimizer.epsilon == 0.5


@pytest.mark.parametrize(
  "wrong",
  [{"optimizer": "adamm"}, {"optimizer_options": {"epsilonn": 1.0}}],
)
def test_an_unknown_optimizer_or_field_is_a_config_error(wrong):
  with pytest.raises(errors.ConfigError):
    _options(**wrong).create()


def test_an_unknown_part_is_named_with_those_there_are():
  with pytest.raises(errors.ConfigError, match="'head'.*backbone, projection"):
    optimizers_lib.check_parts(
      [_options(parts=("head",))], {"backbone": 1, "projection": 2}, set()
    )


def test_a_part_that_no_objective_trains_is_named():
  with pytest.raises(errors.ConfigError, match="'backbone', which no objec"):
    optimizers_lib.check_parts([_options()], {"backbone": 1}, set())


def test_a_part_that_an_objective_needs_and_the_network_lacks_is_named():
  with pytest.raises(errors.ConfigError, match="needs the part 'label_head'"):
    optimizers_lib.check_parts(
      [_options()], {"backbone": 1}, {"backbone", "label_head"}
    )


def test_a_part_with_two_optimizers_is_refused():
  with pytest.raises(errors.ConfigError, match="'backbone' has two"):
    optimizers_lib.check_parts(
      [_options(), _options()], {"backbone": 1}, {"backbone"}
    )


def test_two_adams_of_one_rate_do_what_one_does_bit_for_bit():
  # So a classifier's own Adam matters for its own rate only.
  rng = np.random.default_rng(4)
  start = [rng.normal(size=(3, 2)), rng.normal(size=5)]
  gradients = [[rng.normal(size=x.shape) for x in start] for _ in range(5)]

  def trained(groups):
    variables = [tf.Variable(x, dtype=tf.float32) for x in start]
    adams = [_options(learning_rate=1e-2).create() for _ in groups]
    for step in gradients:
      for adam, group in zip(adams, groups, strict=True):
        adam.apply_gradients(
          [(tf.constant(step[i], tf.float32), variables[i]) for i in group]
        )
    return [v.numpy() for v in variables]

  one, two = trained([[0, 1]]), trained([[0], [1]])
  for a, b, first in zip(one, two, start, strict=True):
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - first).min() > 1e-3
