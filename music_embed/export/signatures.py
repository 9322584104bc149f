"""Waveform to embeddings and labels, in TensorFlow operations alone.

Each window is cut from the waveform and passes front end and network in
chunks of windows, so memory does not grow with a recording's length.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from music_embed.audio import log_mel_tf
from music_embed.core import keys, types
from music_embed.models import embedder


@dataclasses.dataclass(frozen=True)
class Plan:
  """Which windows a batch of recordings has.

  Attributes:
    num_frames: whole frames of each recording, int64 [batch].
    num_windows: int64 [batch], at least one each.
    recording: recording of each window, int64 [windows in all].
    start: first frame of each window, int64 [windows in all].
  """

  num_frames: tf.Tensor
  num_windows: tf.Tensor
  recording: tf.Tensor
  start: tf.Tensor


def plan(num_samples: tf.Tensor, front_end: types.LogMelFrontEnd) -> Plan:
  """The windows of `audio.windows.window_starts`, for a batch.

  Args:
    num_samples: samples of each recording, int64 [batch].
    front_end: gives frames and windows.

  Returns:
    The plan; windows of a recording are neighbours, in order.
  """
  whole = 1 + (num_samples - front_end.frame_length) // front_end.hop_length
  num_frames = tf.maximum(whole, 0)
  window = front_end.window_frames
  num_windows = tf.maximum((num_frames + window - 1) // window, 1)
  valid = tf.sequence_mask(num_windows)
  where = tf.where(valid)
  recording, position = where[:, 0], where[:, 1]
  last = tf.maximum(tf.gather(num_frames, recording) - window, 0)
  return Plan(
    num_frames=num_frames,
    num_windows=num_windows,
    recording=recording,
    start=tf.minimum(position * window, last),
  )


@dataclasses.dataclass(frozen=True)
class ReadOuts:
  """Ways to read a recording besides its plain mean embedding.

  Attributes:
    z_score: mean and scale of each dimension over the training part, [dim]
      each: `z_scored_embedding` is (embedding - mean) * scale. None for none.
    predicted_cf: whether the CF head's prediction is given, `cf_vector`.
  """

  z_score: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None
  predicted_cf: bool = False

  def __call__(
    self, model: embedder.Embedder, embedding: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    """The outputs of recordings, from float32 embeddings [batch, dim]."""
    outputs = {}
    if self.z_score is not None:
      mean, scale = (tf.constant(x, tf.float32) for x in self.z_score)
      outputs["z_scored_embedding"] = (embedding - mean) * scale
    if self.predicted_cf:
      assert model.cf_head is not None
      vector = model.cf_head(tf.cast(embedding, model.cf_head.dtype))
      outputs["cf_vector"] = tf.cast(vector, tf.float32)
    return outputs


class WaveformModel:
  """The computation behind every signature.

  Args of the methods: `waveform` float32 [batch, samples]; `num_samples`
  int64 [batch], the samples that count.
  """

  def __init__(
    self,
    model: embedder.Embedder,
    *,
    front_end: types.LogMelFrontEnd,
    read_outs: ReadOuts | None = None,
    chunk_windows: int = 32,
  ) -> None:
    """Makes the computation.

    Args:
      model: the network.
      front_end: the front end that it was trained on.
      read_outs: what else to say of a recording; None for nothing.
      chunk_windows: windows that pass the network at a time.
    """
    self._model = model
    self._front_end = front_end
    self._read_outs = read_outs or ReadOuts()
    self._chunk_windows = chunk_windows

  def embed(
    self, waveform: tf.Tensor, num_samples: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    """Embeds recordings.

    Returns:
      `window_embeddings` [batch, windows, dim] and `window_times_s` [batch,
      windows], both zero past a recording's own windows; `num_windows` int32
      [batch]; `recording_embedding` [batch, dim], the plain mean; and what
      `ReadOuts` makes of that.
    """
    windows = plan(num_samples, self._front_end)
    total = tf.shape(windows.start)[0]
    dim = self._model.projection.dim
    rows = tf.TensorArray(
      tf.float32,
      size=-(-total // self._chunk_windows),
      infer_shape=False,
      element_shape=[None, dim],
    )
    chunk = tf.constant(0)
    for first in tf.range(0, total, self._chunk_windows):
      log_mel, _ = self._chunk(waveform, windows, first)
      embedding = self._model.embed(log_mel, training=False)
      rows = rows.write(chunk, tf.cast(embedding, tf.float32))
      chunk += 1
    embeddings = rows.concat()
    hop_s = self._front_end.hop_length / self._front_end.sample_rate_hz
    times = tf.cast(tf.cast(windows.start, tf.float64) * hop_s, tf.float32)
    sums = tf.math.unsorted_segment_sum(
      embeddings, windows.recording, tf.shape(num_samples)[0]
    )
    count = tf.cast(windows.num_windows, tf.float32)
    means = sums / count[:, tf.newaxis]
    return {
      "window_embeddings": _to_rows(embeddings, windows),
      "window_times_s": _to_rows(times, windows),
      "num_windows": tf.cast(windows.num_windows, tf.int32),
      "recording_embedding": means,
      **self._read_outs(self._model, means),
    }

  def posterior(
    self, waveform: tf.Tensor, num_samples: tf.Tensor, num_labels: int
  ) -> tf.Tensor:
    """Mean label posterior of each recording's windows, [batch, labels]."""
    head = self._model.label_head
    assert head is not None
    windows = plan(num_samples, self._front_end)
    total = tf.shape(windows.start)[0]
    batch = tf.shape(num_samples)[0]
    sums = tf.zeros([batch, num_labels])
    for first in tf.range(0, total, self._chunk_windows):
      log_mel, recording = self._chunk(waveform, windows, first)
      logits = self._model(log_mel, training=False)[keys.LABEL_LOGITS]
      posterior = tf.cast(head.probabilities(logits), tf.float32)
      sums += tf.math.unsorted_segment_sum(posterior, recording, batch)
    return sums / tf.cast(windows.num_windows, tf.float32)[:, tf.newaxis]

  def _chunk(
    self, waveform: tf.Tensor, windows: Plan, first: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Log-mels [chunk, frames, bins] and recordings [chunk] of windows."""
    front_end = self._front_end
    recording = windows.recording[first : first + self._chunk_windows]
    start = windows.start[first : first + self._chunk_windows]
    span = tf.range(front_end.window_samples, dtype=tf.int64)
    samples = tf.shape(waveform, tf.int64)[1]
    # Past the end any sample will do: those frames become silence below.
    position = tf.minimum(
      start[:, tf.newaxis] * front_end.hop_length + span, samples - 1
    )
    flat = tf.reshape(waveform, [-1])
    cut = tf.gather(flat, recording[:, tf.newaxis] * samples + position)
    log_mel = log_mel_tf.log_mel_tf(
      tf.ensure_shape(cut, [None, front_end.window_samples]), front_end
    )
    frame = start[:, tf.newaxis] + tf.range(
      front_end.window_frames, dtype=tf.int64
    )
    inside = frame < tf.gather(windows.num_frames, recording)[:, tf.newaxis]
    silence = math.log(front_end.log_offset)
    return tf.where(inside[..., tf.newaxis], log_mel, silence), recording


def mean_posterior(
  model: embedder.Embedder,
  window_embeddings: tf.Tensor,
  recording: tf.Tensor,
  chunk_windows: int = 32,
) -> tf.Tensor:
  """Mean label posterior of recordings whose windows are embedded already.

  Args:
    model: the network, with a label head.
    window_embeddings: float32 [windows, dim].
    recording: of which recording each window is, int32 [windows], from 0.
    chunk_windows: windows that are read at a time, since each has a posterior
      of the whole vocabulary.

  Returns:
    float32 [recordings, labels]; zeros for a number that no window has.
  """
  head = model.label_head
  assert head is not None
  num_recordings = tf.reduce_max(tf.concat([[-1], recording], 0)) + 1
  total = tf.shape(window_embeddings)[0]
  sums = tf.zeros([num_recordings, head.required_num_labels()])
  for first in tf.range(0, total, chunk_windows):
    embedding = window_embeddings[first : first + chunk_windows]
    logits = head(tf.cast(embedding, head.dtype))
    posterior = tf.cast(head.probabilities(logits), tf.float32)
    owner = recording[first : first + chunk_windows]
    sums += tf.math.unsorted_segment_sum(posterior, owner, num_recordings)
  count = tf.math.unsorted_segment_sum(
    tf.ones_like(recording, tf.float32), recording, num_recordings
  )
  return tf.math.divide_no_nan(sums, count[:, tf.newaxis])


def _to_rows(values: tf.Tensor, windows: Plan) -> tf.Tensor:
  """[windows in all, ...] to [batch, most windows, ...], zero past the end."""
  ragged = tf.RaggedTensor.from_row_lengths(
    values, windows.num_windows, validate=False
  )
  return ragged.to_tensor()
