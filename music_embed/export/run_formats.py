"""Runs exported files on a waveform, to compare them with one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from music_embed.export import one_recording

Outputs = dict[str, npt.NDArray[Any]]
Run = Callable[[npt.NDArray[np.float32]], Outputs]
"""Takes a waveform, float32 [samples]; gives outputs of `OneRecording`."""


def saved_model(loaded: Any, num_labels: int) -> Run:
  """Runs a SavedModel.

  Args:
    loaded: of `tf.saved_model.load`.
    num_labels: rows of its label head, 0 without one.
  """

  def run(waveform: npt.NDArray[np.float32]) -> Outputs:
    embed = loaded.signatures["embed"]
    outputs = embed(waveform=tf.constant(waveform))
    found = {name: value.numpy() for name, value in outputs.items()}
    if num_labels:
      vectors = outputs["window_embeddings"]
      best = loaded.signatures["label_embeddings"](
        window_embeddings=vectors,
        recording=tf.zeros([len(vectors)], tf.int32),
        top_k=tf.constant(num_labels),
      )
      scores = np.empty(num_labels, np.float32)
      scores[best["indices"][0].numpy()] = best["scores"][0].numpy()
      found["label_scores"] = scores
    return found

  return run


def tflite(content: bytes) -> Run:
  """Runs a TFLite file."""
  interpreter = _interpreter()(model_content=content)
  signature = interpreter.get_signature_runner(one_recording.SIGNATURE)

  def run(waveform: npt.NDArray[np.float32]) -> Outputs:
    return dict(signature(**{one_recording.INPUT: waveform}))

  return run


def _interpreter() -> Any:
  """The interpreter's own package, or the one within TensorFlow."""
  try:
    from ai_edge_litert import interpreter
  except ImportError:
    return tf.lite.Interpreter
  return interpreter.Interpreter


def onnx(content: bytes) -> Run:
  """Runs an ONNX file with onnxruntime, on the CPU."""
  import onnxruntime

  session = onnxruntime.InferenceSession(
    content, providers=["CPUExecutionProvider"]
  )
  names = [output.name for output in session.get_outputs()]

  def run(waveform: npt.NDArray[np.float32]) -> Outputs:
    values = session.run(names, {one_recording.INPUT: waveform})
    return dict(zip(names, values, strict=True))

  return run
