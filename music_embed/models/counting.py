"""Parameters and multiplies of a network, read off its traced graph."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from music_embed.models import embedder


@dataclasses.dataclass(frozen=True)
class LayerCount:
  """One layer with weights.

  Attributes:
    name: the layer's path in the graph.
    output_shape: without the batch.
    parameters: weights and biases, batch norm not counted.
    multiplies: multiplications for one window, batch norm not counted.
  """

  name: str
  output_shape: tuple[int, ...]
  parameters: int
  multiplies: int


def count(
  model: embedder.Embedder, *, frames: int = 300, bins: int = 64
) -> list[LayerCount]:
  """Counts convolutions and dense layers up to the embedding.

  Args:
    model: the network; a label head is not counted.
    frames: frames of a window.
    bins: mel bins of a window.

  Returns:
    One entry a layer, in the order of the graph.
  """
  function = tf.function(lambda x: model.embed(x, training=False))
  graph = function.get_concrete_function(
    tf.TensorSpec([1, frames, bins], tf.float32)
  ).graph
  layers = []
  for operation in graph.get_operations():
    if operation.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
      layers.append(_layer(operation))
  return layers


def _layer(operation: tf.Operation) -> LayerCount:
  output = operation.outputs[0]
  kernel = operation.inputs[1].shape.as_list()
  weights = 1
  for size in kernel:
    weights *= size
  shape = tuple(output.shape.as_list()[1:])
  positions = 1
  for size in shape[:-1]:
    positions *= size
  biases = sum(
    user.inputs[1].shape.num_elements()
    for user in output.consumers()
    if user.type == "BiasAdd"
  )
  return LayerCount(
    name=operation.name.rpartition("/")[0],
    output_shape=shape,
    parameters=weights + biases,
    multiplies=weights * positions,
  )


def total(layers: list[LayerCount]) -> tuple[int, int]:
  """Parameters and multiplies of all layers."""
  return (
    sum(layer.parameters for layer in layers),
    sum(layer.multiplies for layer in layers),
  )
