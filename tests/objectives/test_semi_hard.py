import numpy as np
import tensorflow as tf

from music_embed.objectives import semi_hard


def _squared(a, b) -> float:
  return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def _slow(anchor, positive, negatives, allowed):
  """One pair and one negative at a time."""
  indices, found = [], []
  for i in range(len(anchor)):
    limit = sum(
      (a - p) ** 2 for a, p in zip(anchor[i], positive[i], strict=True)
    )
    best, best_distance = 0, None
    for j in range(len(negatives)):
      distance = sum(
        (a - n) ** 2 for a, n in zip(anchor[i], negatives[j], strict=True)
      )
      if not allowed[i, j] or distance <= limit:
        continue
      if best_distance is None or distance < best_distance:
        best, best_distance = j, distance
    indices.append(best)
    found.append(best_distance is not None)
  return indices, found


def _on_circle(degrees: list[float]) -> tf.Tensor:
  radians = np.radians(degrees)
  return tf.constant(np.stack([np.cos(radians), np.sin(radians)], 1))


def test_the_closest_negative_beyond_the_positive_is_taken() -> None:
  # Distances grow with the angle: the positive lies at 30 degrees, so the
  # negative at 20 is too close, 40 is the closest beyond it, 90 further.
  index, found = semi_hard.mine(
    _on_circle([0.0]),
    _on_circle([30.0]),
    _on_circle([90.0, 20.0, 40.0]),
    tf.constant([[True, True, True]]),
  )
  assert (index.numpy().tolist(), found.numpy().tolist()) == ([2], [True])


def test_a_forbidden_negative_is_passed_over() -> None:
  index, found = semi_hard.mine(
    _on_circle([0.0]),
    _on_circle([30.0]),
    _on_circle([90.0, 20.0, 40.0]),
    tf.constant([[True, True, False]]),
  )
  assert (index.numpy().tolist(), found.numpy().tolist()) == ([0], [True])


def test_no_negative_beyond_the_positive_is_said_so() -> None:
  _, found = semi_hard.mine(
    _on_circle([0.0, 0.0]),
    _on_circle([30.0, 100.0]),
    _on_circle([90.0, 20.0]),
    tf.constant([[False, True], [True, True]]),
  )
  assert found.numpy().tolist() == [False, False]


def test_random_batches_agree_with_the_slow_search() -> None:
  rng = np.random.default_rng(6)
  for _ in range(20):
    pairs, pool = rng.integers(1, 12, size=2)
    vectors = rng.normal(size=(2 * pairs + pool, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = np.split(vectors, [pairs, 2 * pairs])
    allowed = rng.random((pairs, pool)) < 0.6
    index, found = semi_hard.mine(*map(tf.constant, parts), allowed)
    expected_index, expected_found = _slow(*parts, allowed)
    assert found.numpy().tolist() == expected_found
    kept = np.asarray(expected_found)
    assert index.numpy()[kept].tolist() == (
      np.asarray(expected_index)[kept].tolist()
    )


def test_mining_in_float64_sees_differences_below_float32() -> None:
  # Squared distances differ by about 1e-8: float32 could not tell them apart.
  index, found = semi_hard.mine(
    _on_circle([0.0]),
    _on_circle([30.0]),
    _on_circle([40.000001, 40.0]),
    tf.constant([[True, True]]),
  )
  assert (index.numpy().tolist(), found.numpy().tolist()) == ([1], [True])
