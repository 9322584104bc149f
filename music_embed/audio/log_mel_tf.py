"""Log-mel spectrograms in TensorFlow: the front end of exported models."""

from __future__ import annotations

import tensorflow as tf

from music_embed.audio import log_mel
from music_embed.core import types


def log_mel_tf(
  waveform: tf.Tensor,
  front_end: types.LogMelFrontEnd,
  mel_matrix: tf.Tensor | None = None,
) -> tf.Tensor:
  """Log-mel spectrograms, equal to `log_mel.log_mel` up to rounding.

  Frames are reshaped to rank two before the FFT: converters to TFLite and
  ONNX handle no other rank.

  Args:
    waveform: float32 [..., samples] at the front end's rate; any number of
      leading dimensions, static or not. The rank must be static.
    front_end: the parameters.
    mel_matrix: float32 [fft bins, bins] in place of the constant
      `log_mel.mel_matrix(front_end)`, for a graph that must not know that it
      is constant.

  Returns:
    float32 [..., frames, bins]. Waveforms shorter than a frame have no
    frames.
  """
  waveform = tf.cast(waveform, tf.float32)
  frames = tf.signal.frame(
    waveform, front_end.frame_length, front_end.hop_length
  )
  leading = tf.shape(frames)[:-1]
  flat = tf.reshape(frames, [-1, front_end.frame_length])
  flat *= tf.constant(log_mel.hann_window(front_end.frame_length))
  spectrum = tf.abs(tf.signal.rfft(flat, fft_length=[front_end.fft_length]))
  if mel_matrix is None:
    mel_matrix = tf.constant(log_mel.mel_matrix(front_end))
  mel = tf.matmul(spectrum, mel_matrix)
  result = tf.math.log(mel + front_end.log_offset)
  result = tf.reshape(
    result, tf.concat([leading, [front_end.num_bins]], axis=0)
  )
  return tf.ensure_shape(result, [*frames.shape[:-1], front_end.num_bins])
