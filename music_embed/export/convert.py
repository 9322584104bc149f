"""The network for one recording as TFLite and as ONNX."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors, types
from music_embed.export import one_recording, quiet, signatures
from music_embed.models import embedder

SAVED_MODEL = "saved_model"
FILES = {
  "tflite": "model.tflite",
  "tflite_int8": "model.int8.tflite",
  "onnx": "model.onnx",
}
"""File by format; an export also is a SavedModel, whatever else it is."""

INEXACT = ("tflite_int8",)
"""Formats that don't compute in float32: how near they come is only stated."""

_OPSET = 17
"""Of ONNX: the newest that tf2onnx converts the front end to."""


def check(formats: Sequence[str]) -> None:
  """Checks that formats are known and can be made here.

  Raises:
    ConfigError: one is not, or its converter is not installed.
  """
  for name in formats:
    if name != SAVED_MODEL and name not in FILES:
      known = ", ".join([SAVED_MODEL, *FILES])
      raise errors.ConfigError(
        f"--formats={name}: no such format; known: {known}"
      )
  packages = ("tf2onnx", "onnxruntime") if "onnx" in formats else ()
  for package in packages:
    if importlib.util.find_spec(package) is None:
      raise errors.ConfigError(
        f"--formats=onnx: {package} is not installed: install"
        " music_embed[onnx], or leave this format out"
      )


def convert(
  formats: Sequence[str],
  model: embedder.Embedder,
  *,
  front_end: types.LogMelFrontEnd,
  read_outs: signatures.ReadOuts,
  say: Callable[[str], None] = lambda text: None,
) -> Iterator[tuple[str, bytes]]:
  """Converts a network, format by format.

  Args:
    formats: keys of `FILES`; `SAVED_MODEL` is passed over.
    model: the network, built.
    front_end: the front end that it was trained on.
    read_outs: what else to say of a recording.
    say: told what is being done.

  Yields:
    Each format with its file's contents.

  Raises:
    ConfigError: a converter cannot convert this network.
  """
  function = one_recording.OneRecording(
    model, front_end=front_end, read_outs=read_outs
  ).function()
  for name in [name for name in FILES if name in formats]:
    say(f"converting to {FILES[name]}")
    with _one_line(name):
      content = (
        _onnx(function)
        if name == "onnx"
        else _tflite(function, model, is_int8=name == "tflite_int8")
      )
    yield name, content


def _tflite(function: Any, model: embedder.Embedder, *, is_int8: bool) -> bytes:
  """A TFLite file with one signature, of builtin operations only."""
  module = tf.Module()
  module.weights = list(model.variables)
  module.embed = function
  with tempfile.TemporaryDirectory() as folder:
    signature = {one_recording.SIGNATURE: function}
    tf.saved_model.save(module, folder, signatures=signature)
    converter = tf.lite.TFLiteConverter.from_saved_model(
      folder, signature_keys=list(signature)
    )
    if is_int8:
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _onnx(function: Any) -> bytes:
  """An ONNX file of standard operations only."""
  import onnx
  import tf2onnx

  model, _ = tf2onnx.convert.from_function(
    function, input_signature=function.input_signature, opset=_OPSET
  )
  for node in model.graph.node:
    if node.op_type == "Loop":
      _see_constants(node, {value.name for value in model.graph.initializer})
  model.graph.name = one_recording.SIGNATURE
  onnx.checker.check_model(model)  # tf2onnx leaves what it cannot convert.
  return bytes(model.SerializeToString())


def _see_constants(loop: Any, constants: set[str]) -> None:
  """Lets a loop's body name the graph's constants.

  tf2onnx hands them from turn to turn, where no runtime knows that they are
  constant: weights were transposed in every turn, and a ResNet-18 took seven
  times as long.

  Args:
    loop: node of an ONNX graph.
    constants: names of the graph's initializers.
  """
  (body,) = (a.g for a in loop.attribute if a.name == "body")
  # Before what is handed on, a loop takes a count and a condition, its body
  # a number and the condition, and the body gives a condition.
  outer, inner, given = loop.input[2:], body.input[2:], body.output[1:]
  unchanged = [
    place
    for place, name in enumerate(outer)
    if name in constants and inner[place].name == given[place].name
  ]
  names = {inner[place].name: outer[place] for place in unchanged}
  for node in body.node:
    for place, name in enumerate(node.input):
      node.input[place] = names.get(name, name)
  for place in reversed(unchanged):
    del loop.input[2 + place], loop.output[place]
    del body.input[2 + place], body.output[1 + place]


@contextlib.contextmanager
def _one_line(name: str) -> Iterator[None]:
  """Quiet converters, whose failures name the format in one line."""
  try:
    with quiet.quiet():
      yield
  except errors.MusicEmbedError:
    raise
  except Exception as error:
    reason = " ".join(str(error).split())[:300]
    raise errors.ConfigError(
      f"--formats={name}: this network cannot be converted"
      f" ({type(error).__name__}: {reason}): leave the format out"
    ) from error
