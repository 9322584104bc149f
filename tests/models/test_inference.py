import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.models import embedder, inference
from music_embed.models.heads import (
  label_softmax,
  projection,
  sharded_label_softmax,
)


class _Features(tf_keras.layers.Layer):
  def call(self, log_mel: tf.Tensor, *, training: bool) -> tf.Tensor:
    return tf.reshape(log_mel, [-1, 4 * 3])


@pytest.fixture
def model() -> embedder.Embedder:
  tf_keras.utils.set_random_seed(4)
  result = embedder.Embedder(
    backbone=_Features(),
    projection=projection.Projection(dim=5),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=7),
  )
  result(tf.zeros([1, 4, 3]), training=False)
  return result


def _recordings() -> list[np.ndarray]:
  rng = np.random.default_rng(5)
  return [
    rng.normal(size=(windows, 4, 3)).astype(np.float32)
    for windows in (3, 1, 11, 2)
  ]


def _reference(model, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """One window at a time."""
  embeddings, posteriors = [], []
  for window in windows:
    outputs = model(window[np.newaxis], training=False)
    embeddings.append(outputs["embedding"].numpy()[0])
    posteriors.append(tf.nn.softmax(outputs["label_logits"]).numpy()[0])
  return np.mean(embeddings, 0), np.mean(posteriors, 0)


@pytest.mark.parametrize("batch_windows", [1, 4, 17, 32])
def test_recordings_are_plain_means_whatever_the_batch(
  model, batch_windows: int
) -> None:
  runner = inference.RecordingEmbedder(
    model, batch_windows=batch_windows, label_ids=[6, 0]
  )
  outputs = runner(iter(_recordings()))
  assert outputs.num_windows.tolist() == [3, 1, 11, 2]
  for index, windows in enumerate(_recordings()):
    embedding, posterior = _reference(model, windows)
    np.testing.assert_allclose(outputs.embeddings[index], embedding, atol=1e-6)
    np.testing.assert_allclose(
      outputs.label_scores[index], posterior[[6, 0]], atol=1e-6
    )
  assert np.linalg.norm(outputs.embeddings[2]) < 0.99  # Not renormalised.


def test_the_network_is_traced_once_and_follows_its_weights(model) -> None:
  traced = []

  def preprocess(stored: tf.Tensor) -> tf.Tensor:
    traced.append(stored.dtype)
    return tf.cast(stored, tf.float32) / 255.0

  runner = inference.RecordingEmbedder(
    model, batch_windows=4, preprocess=preprocess
  )
  stored = [(r * 50 + 128).astype(np.uint8) for r in _recordings()]
  first = runner(stored)
  assert first.label_scores is None
  model.projection.dense.bias.assign_add(tf.ones([5]))
  second = runner(stored[::-1])
  assert traced == [tf.uint8]
  expected, _ = _reference(model, stored[1].astype(np.float32) / 255.0)
  np.testing.assert_allclose(second.embeddings[2], expected, atol=1e-6)
  assert not np.allclose(first.embeddings[1], expected, atol=1e-3)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_share_each_batch_and_give_what_one_device_does(
  model, mirrored, replicas: int
) -> None:
  """Batches of 5 windows become 6 on two replicas and 8 on four."""
  strategy = mirrored(replicas)
  with strategy.scope():
    spread = embedder.Embedder(
      backbone=_Features(),
      projection=projection.Projection(dim=5),
      label_head=label_softmax.LabelSoftmaxHead(num_labels=7),
    )
    spread(tf.zeros([1, 4, 3]), training=False)
  spread.set_weights(model.get_weights())
  alone = inference.RecordingEmbedder(model, batch_windows=5, label_ids=[6, 0])(
    _recordings()
  )
  shared = inference.RecordingEmbedder(
    spread, batch_windows=5, label_ids=[6, 0], strategy=strategy
  )(_recordings())
  np.testing.assert_allclose(shared.embeddings, alone.embeddings, atol=1e-6)
  np.testing.assert_allclose(shared.label_scores, alone.label_scores, atol=1e-6)
  assert shared.num_windows.tolist() == alone.num_windows.tolist()


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_spread_label_head_gives_the_scores_of_a_whole_one(
  mirrored, replicas: int
) -> None:
  heads = (
    label_softmax.LabelSoftmaxHead(),
    sharded_label_softmax.ShardedLabelSoftmaxHead(num_blocks=2),
  )
  strategies = None, mirrored(replicas)
  outputs = []
  for head, strategy in zip(heads, strategies, strict=True):
    with strategy.scope() if strategy else contextlib.nullcontext():
      head.set_num_labels(7, seed=3)
      tf_keras.utils.set_random_seed(4)
      network = embedder.Embedder(
        backbone=_Features(),
        projection=projection.Projection(dim=5),
        label_head=head,
      )
      network(tf.zeros([1, 4, 3]), training=False)
    runner = inference.RecordingEmbedder(
      network, batch_windows=5, label_ids=[6, 0], strategy=strategy
    )
    outputs.append(runner(_recordings()))
  whole, spread = outputs
  np.testing.assert_allclose(spread.embeddings, whole.embeddings, atol=1e-6)
  np.testing.assert_allclose(spread.label_scores, whole.label_scores, atol=1e-6)
  assert np.ptp(whole.label_scores) > 1e-3
