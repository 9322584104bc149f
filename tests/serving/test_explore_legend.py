"""Colours of the map: labels that tell where recordings lie."""

import numpy as np

from music_embed.serving import legend


def _world():
  """Three corners of a space with a word each; one word is everywhere."""
  vectors = np.zeros((60, 4), np.float32)
  labels = []
  for row in range(60):
    corner = row % 3
    vectors[row, corner] = 1
    word = ("jazz", "rock", "folk")[corner]
    labels.append([("music", 0.9), (word, 0.5)])
  return vectors, labels


def _classes(found):
  return [found.labels[place] for place in found.classes]


def test_a_word_that_is_everywhere_tells_nothing():
  vectors, labels = _world()
  found = legend.telling(labels, vectors)
  assert set(found.labels[:3]) == {"jazz", "rock", "folk"}
  assert found.labels[-1] == legend.OTHER
  assert "music" not in found.labels
  assert _classes(found)[:3] == ["jazz", "rock", "folk"]
  assert found.counts == [20, 20, 20, 0]


def test_labels_are_chosen_as_slow_arithmetic_says():
  rng = np.random.default_rng(1)
  vectors = rng.normal(size=(60, 5)).astype(np.float32)
  vectors[:30] += 0.7
  sets = {f"w{n}": rng.random(60) < 0.1 + 0.04 * n for n in range(12)}
  sets["w5"][:30] = True
  sets["w7"][30:] = True
  labels = [[(w, 0.1) for w in sets if sets[w][row]] for row in range(60)]
  mean = vectors.mean(0)
  variance = ((vectors - mean) ** 2).sum(1).mean()
  left, expected = np.ones(60, bool), []
  while len(expected) < 9:
    gains = {
      word: (has & left).sum()
      * (np.sum((vectors[has].mean(0) - mean) ** 2) - variance / has.sum())
      for word, has in sets.items()
      if (has & left).sum() >= 2
    }
    best = max(gains, key=gains.get, default=None)
    if best is None or gains[best] <= 0:
      break
    expected.append(best)
    left &= ~sets[best]
  assert len(expected) >= 2
  found = legend.telling(labels, vectors)
  assert set(found.labels[:-1]) == set(expected)
  # All scores are alike, so that the class is the label chosen first.
  first = expected[0]
  assert found.counts[found.labels.index(first)] == sets[first].sum()


def test_a_recording_has_the_class_that_it_has_most_of():
  vectors, labels = _world()
  labels[0] = [("rock", 0.7), ("jazz", 0.6)]
  assert _classes(legend.telling(labels, vectors))[0] == "rock"


def test_classes_fall_in_size_and_are_ten_at_most():
  rng = np.random.default_rng(2)
  owner = np.minimum(rng.geometric(0.15, 400), 20)
  vectors = rng.normal(size=(21, 30))[owner].astype(np.float32)
  found = legend.telling([[(f"w{n}", 0.5)] for n in owner], vectors)
  assert len(found.labels) == 10
  assert found.counts[:-1] == sorted(found.counts[:-1], reverse=True)
  assert sum(found.counts) == 400
  assert found.classes.dtype == np.uint8


def test_without_labels_all_are_other():
  found = legend.telling([[], []], np.eye(2, dtype=np.float32))
  assert found.labels == (legend.OTHER,)
  assert found.classes.tolist() == [0, 0]


def test_a_label_of_one_recording_is_no_class():
  vectors = np.eye(4, dtype=np.float32)
  labels = [[(f"w{n}", 0.5)] for n in range(4)]
  assert legend.telling(labels, vectors).labels == (legend.OTHER,)
