"""A small stage with either label head, to be trained on any strategy.

Tests run it in their own process and, through `head_worker.py`, in two.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from music_embed.models.heads import label_softmax as plain_head
from music_embed.models.heads import sharded_label_softmax as sharded_head
from music_embed.objectives import label_softmax, sharded_label_softmax
from music_embed.training import optimizers, sharded_adam

BATCH, FEATURES, DIM, LABELS = 8, 5, 6, 11
"""11 labels divide over neither 2 nor 4 replicas, nor over blocks."""

_OPTIONS = optimizers.PartOptimizer(
  ("label_head",),
  3e-2,
  optimizer_options={"beta_1": 0.8, "epsilon": 1e-6},
  decay_steps=120,
  warmup_steps=5,
)


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
  """Features [batch, features] and label ids int32 [batch, 3] of a step."""
  rng = np.random.default_rng([3, step])
  label_ids = np.full((BATCH, 3), -1, np.int32)
  # Replicas get different numbers of labelled rows, one of four none.
  for row, count in enumerate((1, 3, 0, 0, 2, 1, 1, 0)):
    label_ids[row, :count] = rng.choice(LABELS, count, replace=False)
  features = rng.normal(size=(BATCH, FEATURES))
  features[:, :3] += 2.0 * (label_ids % 3)
  return features, label_ids


class Stage:
  """A linear network and a label head, each with an Adam of its own."""

  def __init__(
    self,
    strategy: tf.distribute.Strategy,
    kind: str,
    *,
    num_blocks: int = 2,
    weight: float = 1.0,
    use_bias: bool = True,
  ) -> None:
    """Builds it.

    Args:
      strategy: where it trains.
      kind: "plain" or "sharded".
      num_blocks: of a sharded head.
      weight: of the loss.
      use_bias: whether the head has a bias.
    """
    self.strategy = strategy
    self._weight = weight
    dtype = tf_keras.backend.floatx()
    with strategy.scope():
      start = np.random.default_rng(1).normal(size=(FEATURES, DIM)) / 4.0
      self.network = tf.Variable(tf.constant(start, dtype))
      self.adam = tf_keras.optimizers.Adam(1e-2)
      self.adam.build([self.network])
      if kind == "plain":
        self.head = plain_head.LabelSoftmaxHead(use_bias=use_bias)
      else:
        self.head = sharded_head.ShardedLabelSoftmaxHead(
          num_blocks=num_blocks, use_bias=use_bias
        )
      self.head.set_num_labels(LABELS, seed=4)
      self.head.build(tf.TensorShape([None, DIM]))
      if kind == "plain":
        self.head_adam = _OPTIONS.create()
        self.head_adam.build(self.head.trainable_variables)
      else:
        self.head_adam = sharded_adam.ShardedAdam(self.head, _OPTIONS)
        self.head.updater = self.head_adam
    self.checkpoint = tf.train.Checkpoint(
      parts=tf.train.Checkpoint(label_head=self.head),
      network=self.network,
      adam=self.adam,
      head_adam=self.head_adam,
    )
    plain = label_softmax.LabelSoftmaxObjective()
    own = sharded_label_softmax.ShardedLabelSoftmaxObjective()
    self._objective = {"plain": plain, "sharded": own}[kind]
    self._kind = kind
    self.step = tf.function(self._step)

  def train(self, first: int, last: int) -> list[dict[str, float]]:
    """Trains steps [first, last); gives each one's loss and metrics."""
    return [
      {
        name: float(value.numpy())
        for name, value in self.step(*self.distributed(step)).items()
      }
      for step in range(first, last)
    ]

  def distributed(self, step: int) -> list[tf.distribute.DistributedValues]:
    """A batch, cut over the replicas."""
    replicas = self.strategy.num_replicas_in_sync
    features, label_ids = batch(step)

    def cut(values):
      return self.strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
          np.split(values, replicas)[context.replica_id_in_sync_group]
        )
      )

    return [cut(features.astype(tf_keras.backend.floatx())), cut(label_ids)]

  def _step(self, features, label_ids):
    results = self.strategy.run(self._replica_step, (features, label_ids))
    return {
      name: self.strategy.reduce("SUM", value, axis=None)
      for name, value in results.items()
    }

  def _replica_step(self, features, label_ids):
    if self._kind == "sharded":
      self.head_adam.begin_step()
    own = [self.network, *self.head.trainable_variables]
    with tf.GradientTape() as tape:
      embedding = tf.math.l2_normalize(features @ self.network, axis=1) * 3.0
      if self._kind == "plain":
        loss, metrics = self._objective.from_logits(
          self.head(embedding), label_ids
        )
      else:
        loss, metrics = self._objective.from_embeddings(
          self.head, embedding, label_ids, training=True, weight=self._weight
        )
      total = self._weight * loss
    first, *rest = tape.gradient(total, own)
    self.adam.apply_gradients([(first, self.network)])
    if rest:
      self.head_adam.apply_gradients(zip(rest, own[1:], strict=True))
    return {"loss": loss, **metrics}

  def weights(self) -> dict[str, np.ndarray]:
    """Network, kernel and bias."""
    head = self.head.unsharded()
    values = {"network": self.network, "kernel": head.kernel, "bias": head.bias}
    return {
      name: value.numpy() for name, value in values.items() if value is not None
    }


def contents(path: str) -> dict[str, np.ndarray]:
  """All tensors of a checkpoint, by name."""
  reader = tf.train.load_checkpoint(path)
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if not name.startswith("_CHECKPOINTABLE") and "save_counter" not in name
  }
