import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.objectives import triplet

# Unit vectors whose squared distances are round numbers.
EAST, WEST, NORTH = [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]
NORTH_EAST = [0.8, 0.6]  # .4 from EAST, .8 from NORTH.


def _batch(*triplets: list[list[float]]) -> tf.Tensor:
  return tf.constant(triplets, tf.float64)


def _random(triplets: int, seed: int = 7) -> tuple[tf.Tensor, tf.Tensor]:
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(triplets, 3, 5))
  x[:, 1] = x[:, 0] + 0.6 * x[:, 1]
  x /= np.linalg.norm(x, axis=2, keepdims=True)
  allowed = rng.random((triplets, triplets)) < 0.7
  return tf.constant(x), tf.constant(allowed | np.eye(triplets, dtype=bool))


def test_the_loss_without_mining_is_eq_1_by_hand() -> None:
  objective = triplet.TripletObjective(margin=0.5, mining="none")
  loss, metrics = objective.from_embeddings(
    _batch(
      # .4 - 2 + .5 < 0: no loss.
      [EAST, NORTH_EAST, NORTH],
      # .8 - .4 + .5 = .9, with anchor NORTH_EAST.
      [NORTH_EAST, NORTH, EAST],
    ),
    tf.eye(2) > 0,
  )
  assert float(loss) == pytest.approx(0.9)
  values = {name: float(value) for name, value in metrics.items()}
  assert set(values) == set(objective.metric_names)
  assert values == pytest.approx(
    {
      "active": 0.5,
      "violations": 0.5,  # EAST is nearer to NORTH_EAST than NORTH.
      "mined": 0.0,
      "positive_distance": (0.4 + 0.8) / 2,
      "negative_distance": (2.0 + 0.4) / 2,
      "spread": 0.25 + 0.25,  # Of NORTH and EAST, about (.5, .5).
      "collapsed": 0.0,
    }
  )


def test_mining_takes_another_triplets_negative_or_the_given_one() -> None:
  objective = triplet.TripletObjective(margin=0.5)
  loss, metrics = objective.from_embeddings(
    _batch(
      # Given WEST at 4; NORTH, of the second, at 2 is closer and still
      # beyond .4: .4 - 2 + .5 < 0.
      [EAST, NORTH_EAST, WEST],
      # Positive at 4: nothing is further, the given NORTH at 2 stays:
      # 4 - 2 + .5 = 2.5.
      [EAST, WEST, NORTH],
    ),
    tf.ones([2, 2], tf.bool),
  )
  assert float(loss) == pytest.approx(2.5)
  assert float(metrics["mined"]) == pytest.approx(0.5)
  assert float(metrics["negative_distance"]) == pytest.approx(2.0)


def test_mean_is_the_sum_over_the_number_of_triplets() -> None:
  x, allowed = _random(9)
  total, _ = triplet.TripletObjective().from_embeddings(x, allowed)
  mean, _ = triplet.TripletObjective(reduction="mean").from_embeddings(
    x, allowed
  )
  assert float(mean) == pytest.approx(float(total) / 9)


def test_equal_embeddings_are_reported_as_collapse() -> None:
  x = tf.tile(tf.constant([[[0.6, 0.8]]]), [4, 3, 1])
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, metrics = triplet.TripletObjective().from_embeddings(
      x, tf.ones([4, 4], tf.bool)
    )
  assert float(loss) == pytest.approx(4 * 0.1)
  assert float(metrics["collapsed"]) == 1.0
  assert float(metrics["spread"]) == pytest.approx(0.0, abs=1e-12)
  assert np.isfinite(tape.gradient(loss, x)).all()


def test_the_gradient_is_that_of_finite_differences() -> None:
  x, allowed = _random(5)
  objective = triplet.TripletObjective(margin=1.0)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss, _ = objective.from_embeddings(x, allowed)
  gradient = tape.gradient(loss, x).numpy()
  assert float(loss) > 0.0
  numeric = np.zeros_like(gradient)
  for position in np.ndindex(*gradient.shape):
    step = np.zeros_like(gradient)
    step[position] = 1e-6
    upper, _ = objective.from_embeddings(x + step, allowed)
    lower, _ = objective.from_embeddings(x - step, allowed)
    numeric[position] = float(upper - lower) / 2e-6
  np.testing.assert_allclose(gradient, numeric, atol=1e-7)


def test_the_loss_compiles_and_agrees_with_itself() -> None:
  x, allowed = _random(6)
  objective = triplet.TripletObjective()
  compiled = tf.function(objective.from_embeddings, jit_compile=True)
  np.testing.assert_allclose(
    compiled(x, allowed)[0], objective.from_embeddings(x, allowed)[0]
  )


def test_unknown_settings_are_named() -> None:
  with pytest.raises(errors.ConfigError, match="mining='hardest'"):
    triplet.TripletObjective(mining="hardest")
  with pytest.raises(errors.ConfigError, match="reduction='max'"):
    triplet.TripletObjective(reduction="max")
