"""Whole training steps are programs that a TPU could run.

Dequantisation, augmentation, both passes and the optimisers' updates go
through XLA as one function of static shapes.
"""

import re

import numpy as np
import pytest
import replica_cases
import tensorflow as tf

pytestmark = pytest.mark.timeout(600)

# How XLA itself marks what is spread over devices.
_XLAS_OWN = {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"}
_HOST = re.compile(r"\b(infeed|outfeed|send|recv|send-done|recv-done)\(")
_TARGET = re.compile(r'custom_call_target="([^"]+)"')
_DYNAMIC = re.compile(r"\[[^\]]*<=")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
  directory = str(tmp_path_factory.mktemp("compile") / "dataset")
  replica_cases.write_dataset(directory)
  return directory


@pytest.mark.parametrize("name", sorted(replica_cases.CASES))
def test_a_step_compiles_to_static_shapes_without_the_host(
  name, dataset
) -> None:
  case = replica_cases.CASES[name]
  plain, step, tensors = replica_cases.step_of(case, dataset)
  expected = dict(
    zip(plain.metric_names, tf.function(step)(*tensors).numpy(), strict=True)
  )
  compiled, step, tensors = replica_cases.step_of(case, dataset)
  before = [v.numpy() for v in compiled.embedder.trainable_variables]
  function = tf.function(step, jit_compile=True)
  program = function.experimental_get_compiler_ir(*tensors)(stage="hlo")
  assert not _HOST.search(program)
  assert set(_TARGET.findall(program)) <= _XLAS_OWN
  assert not _DYNAMIC.search(program)
  values = dict(
    zip(compiled.metric_names, function(*tensors).numpy(), strict=True)
  )
  (loss,) = (metric for metric in expected if metric.endswith("/loss"))
  # Narrow networks of thirteen normalised layers amplify rounding.
  assert values[loss] == pytest.approx(expected[loss], rel=1e-2)
  assert np.isfinite(list(values.values())).all()
  after = compiled.embedder.trainable_variables
  assert all(np.any(a != b.numpy()) for a, b in zip(before, after, strict=True))


def test_what_runs_on_the_host_is_noticed() -> None:
  """The check above could fail: these are what it looks for."""

  @tf.function(jit_compile=True)
  def dynamic(x):
    return tf.boolean_mask(x, x > 0.0)

  values = tf.constant([1.0, -1.0, 2.0])
  program = dynamic.experimental_get_compiler_ir(values)(stage="hlo")
  assert _DYNAMIC.search(program)

  @tf.function(jit_compile=True)
  def own_python(x):
    return tf.numpy_function(np.sin, [x], tf.float32)

  with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
    own_python.experimental_get_compiler_ir(values)(stage="hlo")
