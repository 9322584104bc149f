"""A stage comes to the same on 1, 2 and 4 replicas and on 2 processes.

In float64, since in float32 rounding grows from step to step until other
negatives are mined; tools/compare_replicas.py shows how.
"""

import functools
import pathlib
import re

import numpy as np
import pytest
import replica_cases
import tensorflow as tf
import worker_pair

_HERE = pathlib.Path(__file__).parent
_STEPS = 50
_TOLERANCE = 1e-9
_TIMEOUT_S = 1_200

pytestmark = pytest.mark.timeout(_TIMEOUT_S)

# The sharded head is after the network: one network shows it.
_NAMES = [
  "small_cnn_triplet",
  "small_cnn_label",
  "small_cnn_sharded",
  "mobilenet_triplet",
  "mobilenet_label",
  "resnet18_triplet",
  "resnet18_label",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
  directory = str(tmp_path_factory.mktemp("replicas") / "dataset")
  replica_cases.write_dataset(directory)
  return directory


@pytest.fixture(scope="module")
def of_two_processes(request, dataset, tmp_path_factory):
  """Results of a case by its name; two processes train all of them.

  They go on meanwhile, so only the first tests wait for them.
  """
  output = tmp_path_factory.mktemp("two_processes")
  worker = str(_HERE / "replica_worker.py")
  selected = [item.name for item in request.session.items]
  names = [name for name in _NAMES if any(name in item for item in selected)]
  pair = worker_pair.Pair(
    [worker, dataset, str(output), str(_STEPS), *names], output
  )

  def result(name: str) -> replica_cases.Arrays:
    path = output / f"{name}.npz"
    pair.wait_for(path, _TIMEOUT_S)
    with np.load(path) as arrays:
      return dict(arrays)

  yield result
  pair.kill()


@pytest.fixture(scope="module")
def on_one_device(dataset, tmp_path_factory):
  """Results of a case by its name and number of steps."""
  strategy = tf.distribute.OneDeviceStrategy("CPU:0")

  @functools.cache
  def result(name: str, steps: int) -> replica_cases.Arrays:
    return replica_cases.train(
      replica_cases.CASES[name],
      strategy,
      dataset,
      steps=steps,
      scratch=tmp_path_factory.mktemp("one"),
    )

  return result


def _on_replicas(name, mirrored, dataset, scratch, replicas, steps):
  return replica_cases.train(
    replica_cases.CASES[name],
    mirrored(replicas),
    dataset,
    steps=steps,
    scratch=scratch,
  )


def _assert_equal(one, many) -> None:
  assert one.keys() == many.keys()
  for name, expected in one.items():
    assert many[name].dtype == expected.dtype, name
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
      many[name], expected, rtol=0.0, atol=_TOLERANCE * scale, err_msg=name
    )


def _assert_worth_comparing(name, one) -> None:
  """The stage learns, mines, and lets gradients through."""
  (loss,) = (key for key in one if key.endswith("/loss"))
  assert one[loss].shape == (_STEPS,)
  assert one[loss][-5:].mean() < one[loss][:5].mean()
  assert one["gradient_norm/backbone"].min() > 1e-3
  if name.endswith("triplet"):
    mined = np.stack([one[f"triplet/negative_{i}"] for i in range(8)])
    assert (mined >= 0).mean() > 0.4
    # Of all replicas' negatives.
    assert len(np.unique(mined[mined >= 0])) == replica_cases.TRIPLETS


@pytest.mark.parametrize("name", _NAMES)
def test_replicas_and_processes_come_to_what_one_device_does(
  name, dataset, mirrored, floatx, on_one_device, of_two_processes, tmp_path
) -> None:
  floatx("float64")
  one = on_one_device(name, _STEPS)
  _assert_worth_comparing(name, one)
  # Tracing a deep network on two replicas takes 20 s: two processes do that.
  is_deep_label = name in ("mobilenet_label", "resnet18_label")
  for replicas in (4,) if is_deep_label else (2, 4):
    scratch = tmp_path / str(replicas)
    scratch.mkdir()
    many = _on_replicas(name, mirrored, dataset, scratch, replicas, _STEPS)
    _assert_equal(one, many)
  _assert_equal(one, of_two_processes(name))


@pytest.mark.parametrize("name", ["small_cnn_label", "small_cnn_sharded"])
def test_both_heads_come_to_the_same(
  name, dataset, floatx, on_one_device
) -> None:
  floatx("float64")
  one = on_one_device(name, _STEPS)
  _assert_worth_comparing(name, one)
  plain = on_one_device("small_cnn_label", _STEPS)
  for key in (key for key in plain if "optimizers/o1" not in key):
    scale = np.abs(plain[key]).max()
    np.testing.assert_allclose(one[key], plain[key], atol=_TOLERANCE * scale)


def _gradients(arrays):
  """Names of Adam's first moments: after a step, a tenth of the gradient."""
  slots = re.compile(r"optimizers/o\d/(_variables/\d*[13579]|\w+_m)/")
  return [name for name in arrays if slots.match(name)]


@pytest.mark.parametrize("name", _NAMES[:3])
def test_in_float32_one_step_agrees_to_rounding(
  name, dataset, mirrored, floatx, tmp_path
) -> None:
  """On one of three batches, since rounding may decide where gradients go.

  Of two values that are nearly equal, max-pooling passes it to one.
  """
  floatx("float32")
  found = []
  for seed in range(3):
    results = []
    for replicas in (1, 2):
      scratch = tmp_path / f"{seed}_{replicas}"
      scratch.mkdir()
      results.append(
        replica_cases.train(
          replica_cases.CASES[name],
          mirrored(replicas),
          dataset,
          steps=1,
          scratch=scratch,
          seed=seed,
        )
      )
    found.append(_largest_difference(*results))
    if found[-1] < 1e-5:
      return
  raise AssertionError(f"relative differences: {found}")


def _largest_difference(one, many) -> float:
  """Of the loss and of each variable's gradient, relative to its norm."""
  (loss,) = (key for key in one if key.endswith("/loss"))
  gradients = _gradients(one)
  assert len(gradients) >= 10
  return max(
    float(np.linalg.norm(many[key] - one[key]) / np.linalg.norm(one[key]))
    for key in [loss, *gradients]
  )
