import numpy as np

from music_embed.core import seeds


def test_the_same_key_gives_the_same_numbers():
  a = seeds.generator(1, "triplets", 7).random(5)
  b = seeds.generator(1, "triplets", 7).random(5)
  np.testing.assert_array_equal(a, b)


def test_seed_stream_and_step_each_change_the_numbers():
  keys = [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1), (11, "a", 0)]
  draws = {tuple(seeds.generator(*key).random(3)) for key in keys}
  assert len(draws) == len(keys)


def test_neighbouring_steps_do_not_share_numbers_however_many_are_drawn():
  first = seeds.generator(0, "s", 0).integers(0, 2**63, 10_000)
  second = seeds.generator(0, "s", 1).integers(0, 2**63, 10_000)
  assert not set(first.tolist()) & set(second.tolist())


def test_hashes_are_spread_over_the_unit_interval():
  values = np.array([seeds.hash_unit(0, "split", str(i)) for i in range(5000)])
  assert values.min() >= 0
  assert values.max() < 1
  counts, _ = np.histogram(values, bins=10, range=(0, 1))
  # 500 a bin on average; 5 standard deviations of a binomial are 106.
  assert abs(counts - 500).max() < 106
