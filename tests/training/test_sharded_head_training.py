"""The sharded head trains as the plain one does, on any replicas."""

import pathlib

import head_cases
import numpy as np
import pytest
import tensorflow as tf
import worker_pair

_HERE = pathlib.Path(__file__).parent


def _assert_close(values, expected, rtol, atol) -> None:
  assert values.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(
      values[name], value, rtol=rtol, atol=atol, err_msg=name
    )


def _trained(strategy, kind, steps=50, **kwargs):
  stage = head_cases.Stage(strategy, kind, **kwargs)
  return stage.train(0, steps), stage.weights()


@pytest.mark.parametrize(
  ("replicas", "num_blocks"), [(1, 1), (1, 4), (2, 1), (2, 3), (4, 2)]
)
def test_fifty_steps_are_those_of_the_plain_head_and_keras_adam(
  replicas: int, num_blocks: int, mirrored, floatx
) -> None:
  floatx("float64")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  expected, weights = _trained(one, "plain")
  # It learns, and the metric says something.
  losses = [each["loss"] for each in expected]
  assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.2
  assert 0.0 < np.mean([each["top_label_hit"] for each in expected]) < 1.0
  strategy = one if replicas == 1 else mirrored(replicas)
  found, found_weights = _trained(strategy, "sharded", num_blocks=num_blocks)
  for step, values in enumerate(expected):
    _assert_close(found[step], values, 1e-9, 0.0)
  _assert_close(found_weights, weights, 1e-9, 1e-9)


def test_a_stages_weight_and_a_missing_bias_reach_the_head(floatx) -> None:
  floatx("float64")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  options = {"weight": 0.02, "use_bias": False, "steps": 10}
  expected, weights = _trained(one, "plain", **options)
  found, found_weights = _trained(one, "sharded", **options)
  assert weights.keys() == {"network", "kernel"}
  _assert_close(found[-1], expected[-1], 1e-9, 0.0)
  _assert_close(found_weights, weights, 1e-9, 1e-9)
  _, unweighted = _trained(one, "plain", use_bias=False, steps=10)
  assert np.abs(unweighted["kernel"] - weights["kernel"]).max() > 1e-6


def test_in_float32_one_step_agrees_to_rounding(mirrored, floatx) -> None:
  """Losses to 1e-6; Adam's first updates, near the sign of the gradient
  whatever its size, to 1e-3 of the rate."""
  floatx("float32")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  expected, weights = _trained(one, "plain", steps=2)
  found, found_weights = _trained(mirrored(4), "sharded", steps=2)
  _assert_close(found[0], expected[0], 1e-6, 0.0)
  _assert_close(found[1], expected[1], 1e-5, 0.0)
  _assert_close(found_weights, weights, 0.0, 1e-5)


def test_checkpoints_reshard_bit_by_bit_with_their_slots(
  mirrored, floatx, tmp_path
) -> None:
  floatx("float64")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  stage = head_cases.Stage(one, "sharded", num_blocks=3)
  stage.train(0, 3)
  path = stage.checkpoint.write(str(tmp_path / "first"))
  first = head_cases.contents(path)
  for name in ("kernel_m", "kernel_v", "bias_m", "bias_v"):
    assert np.any(first[f"head_adam/{name}/.ATTRIBUTES/VARIABLE_VALUE"])
  kernel = first["parts/label_head/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
  assert kernel.shape == (head_cases.LABELS, head_cases.DIM)
  for replicas, blocks in ((2, 1), (4, 3), (1, 1)):
    strategy = one if replicas == 1 else mirrored(replicas)
    stage = head_cases.Stage(strategy, "sharded", num_blocks=blocks)
    stage.checkpoint.read(path).assert_consumed()
    np.testing.assert_array_equal(stage.head.kernel.whole(), kernel)
    path = stage.checkpoint.write(str(tmp_path / f"{replicas}_{blocks}"))
    found = head_cases.contents(path)
    assert found.keys() == first.keys()
    for name, value in first.items():
      np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["plain", "sharded"])
def test_a_chain_of_replicas_and_processes_ends_where_one_device_does(
  kind: str, mirrored, floatx, tmp_path
) -> None:
  """1 -> 2 -> 4 replicas -> 2 processes -> 1."""
  floatx("float64")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  uninterrupted = head_cases.Stage(one, kind)
  expected = uninterrupted.train(0, 50)

  def go_on(strategy, first, last):
    stage = head_cases.Stage(strategy, kind, num_blocks=first // 10 + 1)
    if first:
      path = str(tmp_path / f"{kind}_{first}")
      stage.checkpoint.read(path).assert_consumed()
    losses = stage.train(first, last)
    stage.checkpoint.write(str(tmp_path / f"{kind}_{last}"))
    return stage, losses

  go_on(one, 0, 10)
  go_on(mirrored(2), 10, 20)
  go_on(mirrored(4), 20, 30)
  worker = str(_HERE / "head_worker.py")
  pair = worker_pair.Pair([worker, str(tmp_path), "30", "40", kind], tmp_path)
  try:
    pair.wait(200)
  finally:
    pair.kill()
  stage, losses = go_on(one, 40, 50)
  for found, value in zip(losses, expected[40:], strict=True):
    _assert_close(found, value, 1e-9, 0.0)
  _assert_close(stage.weights(), uninterrupted.weights(), 1e-9, 1e-9)


@pytest.mark.timeout(300)
def test_two_processes_give_the_posteriors_of_one(floatx, tmp_path) -> None:
  floatx("float64")
  one = tf.distribute.OneDeviceStrategy("CPU:0")
  stage = head_cases.Stage(one, "sharded")
  stage.train(0, 2)
  stage.checkpoint.write(str(tmp_path / "sharded_2"))
  worker = str(_HERE / "head_worker.py")
  pair = worker_pair.Pair(
    [worker, str(tmp_path), "2", "2", "sharded"], tmp_path
  )
  try:
    pair.wait(200)
  finally:
    pair.kill()
  embedding = head_cases.batch(0)[0] @ stage.network.numpy()
  expected = stage.head.unsharded().posteriors(embedding, [9, 0])
  found = [
    np.load(tmp_path / f"sharded_posteriors_{index}.npy") for index in (0, 1)
  ]
  np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-12)
