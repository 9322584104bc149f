"""The functions that an export offers, by signature, ready to be saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from music_embed.core import types
from music_embed.export import signatures
from music_embed.models import embedder

_WAVEFORM_ANY_RANK = tf.TensorSpec(None, tf.float32, name="waveform")
_WAVEFORM = tf.TensorSpec([None, None], tf.float32, name="waveform")
_NUM_SAMPLES = tf.TensorSpec([None], tf.int32, name="num_samples")
_RECORDING = tf.TensorSpec([None], tf.int32, name="recording")
_TOP_K = tf.TensorSpec([], tf.int32, name="top_k")
_LABELS = tf.TensorSpec([None], tf.int32, name="labels")

Outputs = dict[str, tf.Tensor]
Functions = dict[str, Callable[..., Outputs]]


def signatures_of(
  model: embedder.Embedder,
  *,
  front_end: types.LogMelFrontEnd,
  vocabulary: Sequence[str],
  read_outs: signatures.ReadOuts,
  top_k: int,
) -> Functions:
  """The functions by signature; `model_card` describes them.

  Args:
    model: the network, built.
    front_end: the front end that it was trained on.
    vocabulary: label texts, in the order of the label head's rows.
    read_outs: what else `embed` says of a recording.
    top_k: labels that `label` returns, at most as many as there are.
  """
  waveform_model = signatures.WaveformModel(
    model, front_end=front_end, read_outs=read_outs
  )
  result = _embed_functions(waveform_model)
  result["embed_log_mel"] = _embed_log_mel(model, front_end)
  if model.label_head is not None:
    result.update(_label_functions(waveform_model, vocabulary, top_k))
    result["label_embeddings"] = _label_embeddings(model, vocabulary)
  if has_label_vectors(model):
    result["label_vectors"] = _label_vectors(model)
  return result


def has_label_vectors(model: embedder.Embedder) -> bool:
  """Whether labels have embeddings in the space of the recordings."""
  head = model.label_head
  return head is not None and head.has_label_embeddings


def _embed_functions(
  model: signatures.WaveformModel,
) -> Functions:
  def embed(waveform: tf.Tensor) -> Outputs:
    outputs = model.embed(*_flatten(waveform))
    del outputs["num_windows"]
    times = outputs.pop("window_times_s")[0]
    leading = tf.shape(waveform)[:-1]
    shaped = {name: _unflatten(x, leading) for name, x in outputs.items()}
    return {"window_times_s": times, **shaped}

  def embed_padded(waveform: tf.Tensor, num_samples: tf.Tensor) -> Outputs:
    return model.embed(*_checked(waveform, num_samples))

  return {
    "embed": tf.function(embed, [_WAVEFORM_ANY_RANK]),
    "embed_padded": tf.function(embed_padded, [_WAVEFORM, _NUM_SAMPLES]),
  }


def _label_functions(
  model: signatures.WaveformModel, vocabulary: Sequence[str], top_k: int
) -> Functions:
  texts = tf.constant(list(vocabulary))
  num_labels = len(vocabulary)

  def best(posterior: tf.Tensor, leading: tf.Tensor) -> Outputs:
    scores, indices = tf.math.top_k(posterior, top_k)
    return {
      "labels": _unflatten(tf.gather(texts, indices), leading),
      "scores": _unflatten(scores, leading),
    }

  def label(waveform: tf.Tensor) -> Outputs:
    posterior = model.posterior(*_flatten(waveform), num_labels)
    return best(posterior, tf.shape(waveform)[:-1])

  def label_padded(waveform: tf.Tensor, num_samples: tf.Tensor) -> Outputs:
    waveform, num_samples = _checked(waveform, num_samples)
    posterior = model.posterior(waveform, num_samples, num_labels)
    return best(posterior, tf.shape(num_samples))

  return {
    "label": tf.function(label, [_WAVEFORM_ANY_RANK]),
    "label_padded": tf.function(label_padded, [_WAVEFORM, _NUM_SAMPLES]),
  }


def _embed_log_mel(
  model: embedder.Embedder, front_end: types.LogMelFrontEnd
) -> Callable[..., Outputs]:
  def embed(log_mel: tf.Tensor) -> tf.Tensor:
    return tf.cast(model.embed(log_mel, training=False), tf.float32)

  def embed_log_mel(log_mel: tf.Tensor) -> Outputs:
    # Fused convolutions fail on no windows at all.
    embeddings = tf.cond(
      tf.shape(log_mel)[0] > 0,
      lambda: embed(log_mel),
      lambda: tf.zeros([0, model.projection.dim]),
    )
    return {"window_embeddings": embeddings}

  shape = [None, *front_end.window_shape]
  spec = tf.TensorSpec(shape, tf.float32, name="log_mel")
  return tf.function(embed_log_mel, [spec])


def _label_embeddings(
  model: embedder.Embedder, vocabulary: Sequence[str]
) -> Callable[..., Outputs]:
  texts = tf.constant(list(vocabulary))

  def label_embeddings(
    window_embeddings: tf.Tensor, recording: tf.Tensor, top_k: tf.Tensor
  ) -> Outputs:
    posterior = signatures.mean_posterior(model, window_embeddings, recording)
    count = tf.clip_by_value(top_k, 1, len(vocabulary))
    scores, indices = tf.math.top_k(posterior, count)
    return {
      "labels": tf.gather(texts, indices),
      "indices": indices,
      "scores": scores,
    }

  windows = tf.TensorSpec(
    [None, model.projection.dim], tf.float32, name="window_embeddings"
  )
  return tf.function(label_embeddings, [windows, _RECORDING, _TOP_K])


def _label_vectors(model: embedder.Embedder) -> Callable[..., Outputs]:
  head = model.label_head
  assert head is not None

  def label_vectors(labels: tf.Tensor) -> Outputs:
    count = head.required_num_labels()
    known = tf.logical_and(labels >= 0, labels < count)
    message = f"labels must be rows of labels.tsv, 0 to {count - 1}"
    check = tf.debugging.Assert(tf.reduce_all(known), [message])
    with tf.control_dependencies([] if check is None else [check]):
      rows = tf.gather(tf.convert_to_tensor(head.kernel), labels)
    unit = tf.math.l2_normalize(rows, axis=-1)
    return {"label_vectors": tf.cast(unit, tf.float32)}

  return tf.function(label_vectors, [_LABELS])


def _flatten(waveform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """[..., samples] to [batch, samples] and num_samples int64 [batch]."""
  check = tf.debugging.assert_rank_at_least(
    waveform, 1, "waveform must be [samples] or [batch, samples]"
  )
  with tf.control_dependencies([] if check is None else [check]):
    shape = tf.shape(waveform, tf.int64)
  batch = tf.reduce_prod(shape[:-1])
  flat = tf.reshape(waveform, [batch, shape[-1]])
  return _checked(flat, tf.fill([batch], shape[-1]))


def _checked(
  waveform: tf.Tensor, num_samples: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Bounds `num_samples`; gives an empty waveform a sample to read."""
  samples = tf.shape(waveform, tf.int64)[1]
  num_samples = tf.clip_by_value(tf.cast(num_samples, tf.int64), 0, samples)
  missing = tf.maximum(1 - samples, 0)
  return tf.pad(waveform, [[0, 0], [0, missing]]), num_samples


def _unflatten(values: tf.Tensor, leading: tf.Tensor) -> tf.Tensor:
  return tf.reshape(values, tf.concat([leading, tf.shape(values)[1:]], axis=0))
