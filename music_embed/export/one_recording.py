"""One recording's waveform to its vectors, in what every converter takes.

Window after window passes front end and network in a loop whose shapes are
static, so that memory does not grow with a recording's length. What comes out
is what `embed` of the SavedModel says of one waveform.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from music_embed.audio import log_mel, log_mel_tf
from music_embed.core import types
from music_embed.export import signatures
from music_embed.models import embedder

INPUT = "waveform"
SIGNATURE = "embed"


class OneRecording:
  """The computation, for a recording of any length."""

  def __init__(
    self,
    model: embedder.Embedder,
    *,
    front_end: types.LogMelFrontEnd,
    read_outs: signatures.ReadOuts,
  ) -> None:
    """Makes the computation.

    Args:
      model: the network, built.
      front_end: the front end that it was trained on.
      read_outs: what else to say of the recording.
    """
    self._model = model
    self._front_end = front_end
    self._read_outs = read_outs

  def function(self) -> Any:
    """As a `tf.function` of `waveform`, float32 [samples]."""
    waveform = tf.TensorSpec([None], tf.float32, name=INPUT)
    return tf.function(self.embed, [waveform])

  def embed(self, waveform: tf.Tensor) -> dict[str, tf.Tensor]:
    """Embeds a recording.

    Args:
      waveform: float32 [samples], any number of them.

    Returns:
      `window_embeddings` [windows, dim], `window_times_s` [windows],
      `recording_embedding` [dim], what the read-outs make of that; with a
      label head `label_scores` [labels], mean posteriors of the windows.
    """
    front_end, head = self._front_end, self._model.label_head
    samples = tf.shape(waveform)[0]
    whole = 1 + (samples - front_end.frame_length) // front_end.hop_length
    frames = tf.maximum(whole, 0)
    window = front_end.window_frames
    windows = tf.maximum((frames + window - 1) // window, 1)
    last = tf.maximum(frames - window, 0)
    padded = tf.pad(waveform, [[0, front_end.window_samples]])
    mel_matrix = self._mel_matrix(samples)
    rows = tf.TensorArray(
      tf.float32, size=windows, element_shape=[self._model.projection.dim]
    )
    labels = 0 if head is None else head.required_num_labels()
    scores = tf.zeros([labels])
    for position in tf.range(windows):
      start = tf.minimum(position * window, last)
      mel = self._log_mel(padded, start, frames, mel_matrix)
      embedding = self._model.embed(mel, training=False)
      rows = rows.write(position, tf.cast(embedding[0], tf.float32))
      if head is not None:
        posterior = head.probabilities(head(embedding))
        scores += tf.cast(posterior[0], tf.float32)
    hop_s = front_end.hop_length / front_end.sample_rate_hz
    starts = tf.minimum(tf.range(windows) * window, last)
    vectors = rows.stack()
    count = tf.cast(windows, tf.float32)
    mean = tf.reduce_sum(vectors, axis=0) / count
    found = self._read_outs(self._model, mean[tf.newaxis])
    outputs = {
      "window_embeddings": vectors,
      "window_times_s": tf.cast(starts, tf.float32) * hop_s,
      "recording_embedding": mean,
      **{name: value[0] for name, value in found.items()},
    }
    if head is not None:
      outputs["label_scores"] = scores / count
    return outputs

  def _mel_matrix(self, samples: tf.Tensor) -> tf.Tensor:
    """The mel matrix, of which converters cannot know that it is constant.

    Else TFLite's int8 would quantise it, and the spectrum with it, whose range
    is wider than eight bits by far: that cost a trained SmallCNN .13 of the
    embedding's cosine, where its own weights cost .00004.
    """
    matrix = tf.constant(log_mel.mel_matrix(self._front_end))
    return matrix + tf.cast(tf.minimum(samples, 0), tf.float32)

  def _log_mel(
    self,
    padded: tf.Tensor,
    start: tf.Tensor,
    frames: tf.Tensor,
    mel_matrix: tf.Tensor,
  ) -> tf.Tensor:
    """Log-mels of the window from a frame on, [1, frames, bins]."""
    front_end = self._front_end
    cut = tf.slice(
      padded, [start * front_end.hop_length], [front_end.window_samples]
    )
    mel = log_mel_tf.log_mel_tf(cut[tf.newaxis], front_end, mel_matrix)
    frame = start + tf.range(front_end.window_frames)
    inside = (frame < frames)[tf.newaxis, :, tf.newaxis]
    return tf.where(inside, mel, math.log(front_end.log_offset))
