"""What is computed in which precision, read off the graph of a whole step."""

from collections.abc import Iterator

import pytest
import replica_cases
import tensorflow as tf
import tf_keras

from music_embed.objectives import distances

pytestmark = pytest.mark.timeout(600)

_NAMES = sorted(replica_cases.CASES)
_BFLOAT16, _FLOAT32, _FLOAT64 = (
  tf.bfloat16.as_datatype_enum,
  tf.float32.as_datatype_enum,
  tf.float64.as_datatype_enum,
)

_IN_BFLOAT16 = {
  # Convolutions and what stands between them; the kernel of batch norm takes
  # its moments in float32.
  *("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"),
  *("DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput"),
  "DepthwiseConv2dNativeBackpropFilter",
  *("FusedBatchNormV3", "FusedBatchNormGradV3"),
  *("Relu", "ReluGrad", "MaxPool", "MaxPoolGrad"),
  # Sums of two, of a shortcut and of gradients.
  *("AddV2", "AddN"),
  # What moves values only.
  *("Cast", "Const", "ExpandDims", "Identity", "IdentityN", "Reshape"),
  *("Shape", "ShapeN", "StridedSlice", "StridedSliceGrad", "ZerosLike"),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
  directory = str(tmp_path_factory.mktemp("precision") / "dataset")
  replica_cases.write_dataset(directory)
  return directory


def _nodes(step, tensors) -> Iterator[tf.compat.v1.NodeDef]:
  graph = tf.function(step).get_concrete_function(*tensors).graph
  definition = graph.as_graph_def()
  yield from definition.node
  for function in definition.library.function:
    yield from function.node_def


@pytest.mark.parametrize("name", _NAMES)
def test_in_bfloat16_are_the_convolutions_and_nothing_that_adds_up(
  name, dataset, floatx
) -> None:
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  made, step, tensors = replica_cases.step_of(
    replica_cases.CASES[name], dataset
  )
  found = {
    node.op
    for node in _nodes(step, tensors)
    if any(value.type == _BFLOAT16 for value in node.attr.values())
  }
  assert "Conv2D" in found
  assert found <= _IN_BFLOAT16
  assert step(*tensors).dtype == tf.float32
  variables = [*made.embedder.variables, made.sums]
  for optimizer in made.optimizers:
    variables += getattr(optimizer, "variables", [])
  assert {v.dtype for v in variables if v.dtype.is_floating} == {tf.float32}


@pytest.mark.parametrize("name", _NAMES)
def test_float64_is_never_cast_down(name, dataset, floatx) -> None:
  floatx("float64")
  _, step, tensors = replica_cases.step_of(replica_cases.CASES[name], dataset)
  nodes = list(_nodes(step, tensors))
  casts = [node for node in nodes if node.op == "Cast"]
  assert casts
  assert not [
    node.name
    for node in casts
    if node.attr["SrcT"].type == _FLOAT64
    and node.attr["DstT"].type in (_FLOAT32, _BFLOAT16)
  ]
  products = [n for n in nodes if n.op in ("Conv2D", "ArgMin", "Softmax")]
  assert products
  assert all(n.attr["T"].type == _FLOAT64 for n in products)
  assert step(*tensors).dtype == tf.float64


def test_distances_of_bfloat16_are_float32() -> None:
  """1 + 2^-7 is one step from 1 in bfloat16: its square there is 0 or 2^-14."""
  a = tf.constant([[1.0, 1.0]], tf.bfloat16)
  b = tf.constant([[1.0 + 2.0**-7, 1.0]], tf.bfloat16)
  for distance in (distances.squared(a, b), distances.pairwise_squared(a, b)):
    assert distance.dtype == tf.float32
    assert float(tf.squeeze(distance)) == pytest.approx(2.0**-14, rel=1e-2)
