import numpy as np
import pytest
import tensorflow as tf

from music_embed.audio import augment

_SEED = tf.constant([7, 11], tf.int32)


def _log_mel(batch: int = 4, frames: int = 20, bins: int = 64) -> np.ndarray:
  mel = np.random.default_rng(0).uniform(0.0, 5.0, (batch, frames, bins))
  return np.log(mel + 0.01).astype(np.float32)


def test_every_frame_of_a_window_is_multiplied_by_the_same_curve():
  random_eq = augment.RandomEq(gain_db=6.0, num_knots=5, level_db=3.0)
  before = _log_mel()
  after = random_eq(tf.constant(before), _SEED).numpy()
  gains = random_eq.gains(4, 64, _SEED).numpy()
  expected = np.log((np.exp(before) - 0.01) * gains[:, None, :] + 0.01)
  np.testing.assert_allclose(after, expected, atol=1e-4)


def test_windows_get_curves_of_their_own():
  gains = augment.RandomEq(gain_db=6.0).gains(8, 64, _SEED).numpy()
  assert len(np.unique(gains[:, 10])) == 8


def test_gains_have_the_stated_deviation_at_the_knots():
  random_eq = augment.RandomEq(gain_db=6.0, num_knots=2)
  decibels = 20 * np.log10(random_eq.gains(20_000, 3, _SEED).numpy())
  # Knots lie on the outer bins; the middle is the mean of the two.
  assert np.std(decibels[:, 0]) == pytest.approx(6.0, rel=0.03)
  assert np.std(decibels[:, 2]) == pytest.approx(6.0, rel=0.03)
  np.testing.assert_allclose(
    decibels[:, 1], (decibels[:, 0] + decibels[:, 2]) / 2, atol=1e-3
  )


def test_the_level_is_common_to_all_bins():
  random_eq = augment.RandomEq(gain_db=0.0, level_db=4.0)
  decibels = 20 * np.log10(random_eq.gains(20_000, 64, _SEED).numpy())
  assert np.ptp(decibels, axis=1).max() < 1e-3
  assert np.std(decibels[:, 0]) == pytest.approx(4.0, rel=0.03)


def test_curves_are_smooth():
  random_eq = augment.RandomEq(gain_db=6.0, num_knots=4)
  decibels = 20 * np.log10(random_eq.gains(100, 64, _SEED).numpy())
  steps = np.abs(np.diff(decibels, axis=1)).max()
  # 21 bins between knots: the steepest step is pi / 2 / 21 of the difference.
  assert steps < np.pi / 2 / 21 * 6 * 6


def test_the_same_seed_gives_the_same_windows_and_another_does_not():
  random_eq = augment.RandomEq(gain_db=6.0)
  log_mel = tf.constant(_log_mel())
  first = random_eq(log_mel, _SEED).numpy()
  again = tf.function(random_eq)(log_mel, _SEED).numpy()
  other = random_eq(log_mel, tf.constant([7, 12], tf.int32)).numpy()
  np.testing.assert_allclose(first, again, atol=1e-5)
  assert np.abs(first - other).max() > 0.1


def test_silence_stays_silence_even_after_quantisation():
  silence = tf.fill([1, 5, 64], -4.61)  # A little below log(0.01).
  result = augment.RandomEq(gain_db=12.0)(silence, _SEED).numpy()
  np.testing.assert_allclose(result, np.log(0.01), atol=1e-5)


def test_no_gain_changes_nothing():
  log_mel = _log_mel()
  result = augment.RandomEq(gain_db=0.0)(tf.constant(log_mel), _SEED).numpy()
  np.testing.assert_allclose(result, log_mel, atol=1e-4)


def test_one_knot_is_refused():
  with pytest.raises(ValueError, match="num_knots"):
    augment.RandomEq(gain_db=1.0, num_knots=1)


def test_replicas_draw_the_global_batchs_curves():
  random_eq = augment.RandomEq(gain_db=6.0)
  log_mel = tf.constant(_log_mel())
  half = log_mel.shape[0] // 2
  assert half
  whole = random_eq(log_mel[: 2 * half], _SEED).numpy()
  halves = [
    random_eq(log_mel[r * half : (r + 1) * half], _SEED, r, 2).numpy()
    for r in range(2)
  ]
  np.testing.assert_array_equal(whole, np.concatenate(halves))


def test_xla_draws_the_same_curves():
  gains = augment.RandomEq(gain_db=6.0).gains
  plain = tf.function(lambda seed: gains(8, 64, seed))(_SEED)
  compiled = tf.function(lambda seed: gains(8, 64, seed), jit_compile=True)
  np.testing.assert_allclose(compiled(_SEED), plain, rtol=1e-5)


def test_normal_numbers_are_finite_and_normal():
  numbers = augment.stateless_normal([200, 1_000], _SEED).numpy()
  assert np.isfinite(numbers).all()
  assert numbers.mean() == pytest.approx(0.0, abs=0.01)
  # Shares within one and two standard deviations.
  assert np.mean(np.abs(numbers) < 1.0) == pytest.approx(0.6827, abs=0.005)
  assert np.mean(np.abs(numbers) < 2.0) == pytest.approx(0.9545, abs=0.003)
