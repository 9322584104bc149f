import numpy as np
import pytest
import tensorflow as tf

from music_embed.audio import log_mel, log_mel_tf
from music_embed.core import types

_FRONT_END = types.LogMelFrontEnd()


def _waveforms(*shape: int) -> np.ndarray:
  rng = np.random.default_rng(3)
  loudness = 10.0 ** rng.uniform(-4, 0, (*shape[:-1], 1))
  return (loudness * rng.uniform(-1, 1, shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(20_000,), (3, 7_000), (2, 3, 1_234)])
def test_tensorflow_and_numpy_log_mels_are_equal(shape):
  waveforms = _waveforms(*shape)
  actual = log_mel_tf.log_mel_tf(tf.constant(waveforms), _FRONT_END).numpy()
  expected = np.stack(
    [
      log_mel.log_mel(row, _FRONT_END)
      for row in waveforms.reshape(-1, shape[-1])
    ]
  ).reshape(*shape[:-1], -1, 64)
  np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_lengths_may_be_unknown_when_tracing():
  function = tf.function(
    lambda x: log_mel_tf.log_mel_tf(x, _FRONT_END),
    input_signature=[tf.TensorSpec([None, None], tf.float32)],
  )
  spec = function.get_concrete_function().structured_outputs
  assert spec.shape.as_list() == [None, None, 64]
  for samples in (399, 400, 5_000):
    waveforms = _waveforms(2, samples)
    result = function(waveforms).numpy()
    expected = log_mel.log_mel(waveforms[1], _FRONT_END)
    assert result.shape == (2, *expected.shape)
    np.testing.assert_allclose(result[1], expected, atol=1e-4)


def test_a_tflite_model_gives_the_same_log_mels():
  function = tf.function(
    lambda x: log_mel_tf.log_mel_tf(x, _FRONT_END),
    input_signature=[tf.TensorSpec([2, 4_000], tf.float32)],
  )
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [function.get_concrete_function()]
  )
  interpreter = tf.lite.Interpreter(model_content=converter.convert())
  interpreter.allocate_tensors()
  waveforms = _waveforms(2, 4_000)
  interpreter.set_tensor(interpreter.get_input_details()[0]["index"], waveforms)
  interpreter.invoke()
  result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
  expected = np.stack([log_mel.log_mel(row, _FRONT_END) for row in waveforms])
  np.testing.assert_allclose(result, expected, atol=1e-3)
