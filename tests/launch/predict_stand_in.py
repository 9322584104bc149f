"""Stands in for TensorFlow Serving: its JSON, over a SavedModel's signatures.

The rules are those of https://www.tensorflow.org/tfx/serving/api_rest and of
what its code refuses (tensorflow_serving/util/json_tensor.cc).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf


class BadRequest(Exception):
  """What the server answers with status 400."""


def predict(signatures: Any, request: Any) -> dict[str, Any]:
  """Answers a request of `:predict`.

  Args:
    signatures: of a loaded SavedModel.
    request: parsed JSON.

  Raises:
    BadRequest: as TensorFlow Serving would refuse it.
  """
  name = request.get("signature_name", "serving_default")
  if name not in signatures.keys():  # noqa: SIM118 (no plain dictionary)
    raise BadRequest(f"no signature {name}")
  function = signatures[name]
  specs = function.structured_input_signature[1]
  if ("inputs" in request) == ("instances" in request):
    raise BadRequest("one of 'inputs' and 'instances' is wanted")
  is_row = "instances" in request
  values = (
    _of_instances(request["instances"], specs)
    if is_row
    else _of_inputs(request["inputs"], specs)
  )
  tensors = {
    key: tf.constant(_tensor(values[key], spec.dtype))
    for key, spec in specs.items()
  }
  try:
    outputs = {key: x.numpy() for key, x in function(**tensors).items()}
  except (tf.errors.InvalidArgumentError, ValueError) as error:
    raise BadRequest(str(error)) from error
  return _rows(outputs) if is_row else _columns(outputs)


def _of_inputs(inputs: Any, specs: dict[str, Any]) -> dict[str, Any]:
  """Columnar: a value where there is one input, or an object of values."""
  if not isinstance(inputs, dict):
    if len(specs) > 1:
      raise BadRequest("inputs is a plain value, but there are several")
    return {next(iter(specs)): inputs}
  if missing := set(specs) - set(inputs):
    raise BadRequest(f"missing inputs: {missing}")
  return inputs


def _of_instances(instances: Any, specs: dict[str, Any]) -> dict[str, Any]:
  """Rows: values where there is one input, or objects of values."""
  if not isinstance(instances, list) or not instances:
    raise BadRequest("instances must be a list that is not empty")
  if not isinstance(instances[0], dict):
    if len(specs) > 1:
      raise BadRequest(
        "instances is a plain list, but there are several inputs"
      )
    instances = [{next(iter(specs)): value} for value in instances]
  if any(set(instance) != set(specs) for instance in instances):
    raise BadRequest(f"keys must be {set(specs)}")
  return {key: [instance[key] for instance in instances] for key in specs}


def _tensor(value: Any, dtype: tf.DType) -> np.ndarray:
  """Nested lists of one shape; an integer is no float's other way round."""
  try:
    array = np.array(value)
  except ValueError as error:
    raise BadRequest("lists of different lengths") from error
  kinds = {tf.float32: "iuf", tf.int32: "iu"}[dtype]
  if array.dtype == object or (array.size and array.dtype.kind not in kinds):
    raise BadRequest(f"not of type {dtype.name}")
  return array.astype(dtype.as_numpy_dtype)


def _rows(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
  if any(value.ndim == 0 for value in outputs.values()):
    raise BadRequest("an output has no shape")
  sizes = {key: len(value) for key, value in outputs.items()}
  if len(set(sizes.values())) > 1:
    raise BadRequest(f"inconsistent batch size: {sizes}")
  if len(outputs) == 1:
    return {"predictions": [_plain(x) for x in next(iter(outputs.values()))]}
  count = next(iter(sizes.values()))
  return {
    "predictions": [
      {key: _plain(value[row]) for key, value in outputs.items()}
      for row in range(count)
    ]
  }


def _columns(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
  plain = {key: _plain(value) for key, value in outputs.items()}
  return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}


def _plain(value: Any) -> Any:
  """JSON values; bytes are texts, since no output is called `_bytes`."""
  if isinstance(value, bytes):
    return value.decode()
  if isinstance(value, np.ndarray):
    return [_plain(x) for x in value]
  return value.item()


@contextlib.contextmanager
def serve(signatures: Any, model: str) -> Iterator[int]:
  """Serves on a free port of this machine, which is yielded."""

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
      if self.path != f"/v1/models/{model}:predict":
        self._answer(404, {"error": "Not found"})
        return
      body = self.rfile.read(int(self.headers["Content-Length"]))
      try:
        self._answer(200, predict(signatures, json.loads(body)))
      except BadRequest as error:
        self._answer(400, {"error": str(error)})

    def _answer(self, status: int, values: dict[str, Any]) -> None:
      content = json.dumps(values).encode()
      self.send_response(status)
      self.send_header("Content-Type", "application/json")
      self.send_header("Content-Length", str(len(content)))
      self.end_headers()
      self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
      pass

  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  try:
    yield server.server_address[1]
  finally:
    server.shutdown()
    server.server_close()
    thread.join()
