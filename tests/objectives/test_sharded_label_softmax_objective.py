import collections
import threading

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors, keys
from music_embed.models.heads import label_softmax as plain_head
from music_embed.models.heads import sharded_label_softmax as sharded_head
from music_embed.objectives import (
  label_blocks,
  label_softmax,
  sharded_label_softmax,
)
from music_embed.training import optimizers, sharded_adam

_LABELS, _DIM, _BATCH = 10, 4, 8
_ROWS, _FIRST = 5, 7  # A block of labels 7 to 11, the last two of them padding.


class _Recorder(threading.local):
  """An updater that keeps the gradients it is handed, of each replica."""

  def __init__(self) -> None:
    self.gradients = []

  def begin_step(self) -> None:
    pass

  def apply(self, block, d_kernel, d_bias):
    self.gradients.append((block, d_kernel, d_bias))
    return []


def _label_ids() -> np.ndarray:
  rng = np.random.default_rng(3)
  label_ids = np.full((_BATCH, 3), -1, np.int32)
  # Replicas get different numbers of labelled windows, one of the four none.
  for row, count in enumerate((1, 3, 0, 0, 2, 1, 1, 0)):
    label_ids[row, :count] = rng.choice(_LABELS, count, replace=False)
  return label_ids


def _embedding(dtype: str) -> np.ndarray:
  return np.random.default_rng(4).normal(size=(_BATCH, _DIM)).astype(dtype)


def _block(dtype: str):
  rng = np.random.default_rng(5)
  kernel = rng.normal(size=(_ROWS, _DIM)).astype(dtype)
  bias = rng.normal(size=_ROWS).astype(dtype)
  bias[3:] = sharded_head.MASKED
  return tf.constant(kernel), tf.constant(bias), tf.constant(_FIRST)


def test_a_block_gives_its_part_of_the_loss() -> None:
  """By loops over examples and labels."""
  kernel, bias, first = _block("float64")
  embedding, label_ids = _embedding("float64"), _label_ids()
  weights = label_blocks.target_weights(label_ids, tf.float64)
  found = label_blocks.block_forward(
    sharded_head.block_logits(tf.constant(embedding), kernel, bias),
    label_ids,
    weights,
    first,
  )
  some = False
  for example in range(_BATCH):
    logits = {
      7 + row: embedding[example] @ kernel[row].numpy() + bias[row].numpy()
      for row in range(3)
    }
    ids = [label for label in label_ids[example] if label >= 0]
    own = [logits[label] for label in ids if label in logits]
    some |= 0 < len(own) < len(ids)
    expected = [
      np.log(sum(np.exp(value) for value in logits.values())),
      sum(own) / max(len(ids), 1),
      max(logits.values()),
      max(own, default=sharded_head.MASKED),
    ]
    np.testing.assert_allclose(found[:, example], expected, rtol=1e-12)
  assert some  # A row has labels in this block and in others.


def test_targets_are_l1_normalised() -> None:
  ids = tf.constant([[4, -1, -1], [-1, -1, -1], [0, 2, 1], [5, 3, -1]])
  np.testing.assert_allclose(
    label_blocks.target_weights(ids, tf.float64),
    [[1, 0, 0], [0, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]],
  )


def test_parts_combine_to_what_all_labels_give() -> None:
  rng = np.random.default_rng(6)
  logits = [rng.normal(size=(2, 3)) for _ in range(4)]
  parts = np.stack(
    [
      np.stack([np.log(np.exp(x).sum(1)), x.sum(1), x.max(1), x.min(1)])
      for x in logits
    ]
  )
  whole = np.concatenate(logits, axis=1)
  np.testing.assert_allclose(
    label_blocks.combine(tf.constant(parts)),
    [
      np.log(np.exp(whole).sum(1)),
      whole.sum(1),
      whole.max(1),
      np.max([x.min(1) for x in logits], axis=0),
    ],
  )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_blocks_give_the_same(dtype: str) -> None:
  embedding = tf.constant(_embedding(dtype))
  kernel, bias, first = _block(dtype)
  logits = sharded_head.block_logits(embedding, kernel, bias)
  label_ids = tf.constant(_label_ids())
  weights = label_blocks.target_weights(label_ids, tf.as_dtype(dtype))
  shift = tf.constant(np.linspace(1.0, 3.0, _BATCH).astype(dtype))
  rtol = {"float32": 1e-5, "float64": 1e-12}[dtype]
  for function, arguments in (
    (label_blocks.block_forward, ()),
    (label_blocks.block_backward, (shift, embedding, kernel)),
  ):
    given = (logits, label_ids, weights, first, *arguments)
    compiled = tf.function(function, jit_compile=True)(*given)
    for a, b in zip(
      tf.nest.flatten(compiled), tf.nest.flatten(function(*given)), strict=True
    ):
      assert a.dtype == dtype
      np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def _reference(objective, dtype):
  """Loss, metrics, d embedding, d kernel, d bias of the plain head."""
  head = plain_head.LabelSoftmaxHead(num_labels=_LABELS)
  head.build(tf.TensorShape([None, _DIM]))
  embedding = tf.constant(_embedding(dtype))
  head.bias.assign(np.linspace(-1.0, 1.0, _LABELS))
  with tf.GradientTape() as tape:
    tape.watch(embedding)
    loss, metrics = objective.from_logits(
      head(embedding), tf.constant(_label_ids())
    )
  gradients = tape.gradient(loss, [embedding, head.kernel, head.bias])
  return loss, metrics, *gradients


def _sharded(strategy, objective, dtype, num_blocks):
  """The same of the sharded one; rows of all replicas put together."""
  replicas = strategy.num_replicas_in_sync
  with strategy.scope():
    head = sharded_head.ShardedLabelSoftmaxHead(
      num_labels=_LABELS, num_blocks=num_blocks
    )
    head.build(tf.TensorShape([None, _DIM]))
    bias = np.linspace(-1.0, 1.0, _LABELS)
    head.bias.assign(lambda start, stop: bias[start:stop])

    head.updater = recorder = _Recorder()

  def split(values):
    return strategy.experimental_distribute_values_from_function(
      lambda context: tf.constant(
        np.split(values, replicas)[context.replica_id_in_sync_group]
      )
    )

  def replica(embedding, label_ids):
    with tf.GradientTape() as tape:
      tape.watch(embedding)
      loss, metrics = objective.from_embeddings(
        head, embedding, label_ids, training=True
      )
    return loss, metrics, tape.gradient(loss, embedding), recorder.gradients

  step = tf.function(lambda *values: strategy.run(replica, values))
  loss, metrics, d_embedding, rows = step(
    split(_embedding(dtype)), split(_label_ids())
  )

  def local(value):
    return [x.numpy() for x in strategy.experimental_local_results(value)]

  def whole(which):
    parts = [part for each in rows for part in local(each[which])]
    return np.concatenate(parts)[:_LABELS]

  return (
    np.sum(local(loss)),
    {name: np.sum(local(value)) for name, value in metrics.items()},
    np.concatenate(local(d_embedding)),
    whole(1),
    whole(2),
  )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
  ("replicas", "blocks", "kept_bytes"),
  # Two of three blocks' logits, and in float32 all of them, fit in 512 bytes.
  [(1, 1, 0), (1, 3, 512), (4, 1, 1 << 20), (4, 2, 0)],
)
def test_loss_metrics_and_gradients_are_the_plain_heads(
  reduction: str, replicas: int, blocks: int, kept_bytes: int, mirrored, floatx
) -> None:
  strategy = (
    tf.distribute.get_strategy() if replicas == 1 else mirrored(replicas)
  )
  for dtype, rtol in (("float64", 1e-9), ("float32", 1e-5)):
    floatx(dtype)
    expected = _reference(
      label_softmax.LabelSoftmaxObjective(reduction=reduction), dtype
    )
    found = _sharded(
      strategy,
      sharded_label_softmax.ShardedLabelSoftmaxObjective(
        reduction=reduction, kept_bytes=kept_bytes
      ),
      dtype,
      blocks,
    )
    assert 0.0 < expected[1]["top_label_hit"] < 1.0
    for a, b in zip(
      tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
      assert a.dtype == dtype
      scale = np.abs(b).max()
      assert scale > 1e-2
      np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


def _stage(strategy, num_labels, num_blocks, **options):
  """A traced training step of a head; its concrete function."""
  with strategy.scope():
    head = sharded_head.ShardedLabelSoftmaxHead(
      num_labels=num_labels, num_blocks=num_blocks
    )
    head.build(tf.TensorShape([None, _DIM]))
    head.updater = sharded_adam.ShardedAdam(
      head, optimizers.PartOptimizer(("label_head",), 1e-2)
    )
  objective = sharded_label_softmax.ShardedLabelSoftmaxObjective(**options)
  size = _BATCH // strategy.num_replicas_in_sync

  def replica():
    embedding, label_ids = tf.ones([size, _DIM]), tf.zeros([size, 3], tf.int32)
    head.updater.begin_step()
    with tf.GradientTape() as tape:
      tape.watch(embedding)
      loss, metrics = objective.from_embeddings(
        head, embedding, label_ids, training=True
      )
    return loss, metrics, tape.gradient(loss, embedding)

  step = tf.function(lambda: strategy.run(replica))
  return step.get_concrete_function(), head


def _operations(function):
  """All operations of a function and of those that it calls."""
  graph = function.graph
  found = list(graph.get_operations())
  for name in {
    attribute.func.name
    for operation in found
    for attribute in operation.node_def.attr.values()
    if attribute.HasField("func")
  }:
    found += graph._get_function(name).graph.get_operations()
  return found


def _collectives(function):
  return collections.Counter(
    (operation.type, tuple(operation.inputs[0].shape.as_list()))
    for operation in _operations(function)
    if operation.type.startswith("Collective")
    and operation.inputs[0].shape.rank
  )


def _gathered(function):
  """Shapes of what gathers give."""
  return {
    tuple(operation.outputs[0].shape.as_list())
    for operation in _operations(function)
    if operation.type == "EnsureShape"
  }


def test_no_tensor_of_a_step_is_as_long_as_the_vocabulary(mirrored) -> None:
  labels, blocks = 2_003, 3
  for replicas in (1, 2):
    strategy = (
      tf.distribute.get_strategy() if replicas == 1 else mirrored(replicas)
    )
    function, head = _stage(strategy, labels, blocks)
    lengths = {
      size
      for operation in _operations(function)
      for tensor in operation.outputs
      for size in (tensor.shape.as_list() if tensor.shape.rank else [])
    }
    # A block's logits are there, so the walk sees what it should.
    assert head.partition.rows in lengths
    assert max(size or 0 for size in lengths) == head.partition.rows
    assert head.partition.rows < labels / (replicas * blocks) + 1


@pytest.mark.parametrize("num_kept", [0, 2, 3, 5])
def test_logits_are_kept_as_far_as_memory_is_given(num_kept: int) -> None:
  blocks, rows = 3, 4
  function, head = _stage(
    tf.distribute.get_strategy(),
    _LABELS,
    blocks,
    kept_bytes=num_kept * _BATCH * rows * 4,
  )
  assert head.partition.rows == rows
  products = [each for each in _operations(function) if each.type == "MatMul"]
  # Logits, the embeddings' gradient, the rows'; and what was not kept, again.
  assert len(products) == 3 * blocks + max(blocks - num_kept, 0)


def test_memory_for_logits_is_not_negative() -> None:
  with pytest.raises(errors.ConfigError, match="kept_bytes=-1"):
    sharded_label_softmax.ShardedLabelSoftmaxObjective(kept_bytes=-1)


def test_what_replicas_exchange_does_not_grow_with_the_vocabulary(
  mirrored,
) -> None:
  small, _ = _stage(mirrored(2), 50, 2)
  large, _ = _stage(mirrored(2), 5_000, 3)
  assert _collectives(small) == _collectives(large)
  # Of both replicas together: embeddings, ids, statistics. TensorFlow's
  # gathers exchange the parts' shapes first, and forget their own.
  gathered = {(_BATCH, _DIM), (_BATCH, 3), (2, 4, _BATCH)}
  assert _gathered(small) == _gathered(large) == gathered
  # And the embeddings' gradient, which TensorFlow reduces flat.
  reduced = [shape for kind, shape in _collectives(large) if "Reduce" in kind]
  assert reduced == [(_BATCH * _DIM,)]


def test_a_whole_compiled_step_trains_alike(floatx) -> None:
  floatx("float32")
  kernels = []
  for jit_compile in (False, True):
    head = sharded_head.ShardedLabelSoftmaxHead(
      num_labels=_LABELS, num_blocks=2
    )
    head.build(tf.TensorShape([None, _DIM]))
    before = head.kernel.whole()
    head.updater = sharded_adam.ShardedAdam(
      head, optimizers.PartOptimizer(("label_head",), 1e-2)
    )
    objective = sharded_label_softmax.ShardedLabelSoftmaxObjective()

    def step(embedding, label_ids, head=head, objective=objective):
      head.updater.begin_step()
      return objective.from_embeddings(
        head, embedding, label_ids, training=True
      )[0]

    compiled = tf.function(step, jit_compile=jit_compile)
    for _ in range(3):
      compiled(tf.constant(_embedding("float32")), tf.constant(_label_ids()))
    kernels.append(head.kernel.whole())
  assert np.abs(kernels[0] - before).min() > 1e-3
  np.testing.assert_allclose(kernels[1], kernels[0], atol=1e-5)


@pytest.mark.parametrize("kept_bytes", [0, 1 << 20])
def test_embeddings_that_a_batch_brings_train_the_head_alike(
  kept_bytes,
) -> None:
  """Only, nobody computes their gradient."""

  class Network:
    def __init__(self) -> None:
      self.label_head = sharded_head.ShardedLabelSoftmaxHead(
        num_labels=_LABELS, num_blocks=3
      )
      self.label_head.build(tf.TensorShape([None, _DIM]))
      self.label_head.updater = sharded_adam.ShardedAdam(
        self.label_head, optimizers.PartOptimizer(("label_head",), 1e-2)
      )

    def embed(self, windows, *, training):
      assert training
      return windows

  objective = sharded_label_softmax.ShardedLabelSoftmaxObjective(
    kept_bytes=kept_bytes
  )
  kernels, losses = [], []
  for key in (keys.WINDOWS, keys.EMBEDDING):
    network = Network()

    @tf.function
    def step(embedding, network=network, key=key):
      network.label_head.updater.begin_step()
      batch = {key: embedding, keys.LABEL_IDS: tf.constant(_label_ids())}
      with tf.GradientTape() as tape:
        tape.watch(embedding)
        loss, _ = objective(network, batch, training=True)
      return loss, tape.gradient(loss, embedding)

    for _ in range(3):
      loss, gradient = step(tf.constant(_embedding("float32")))
    assert (gradient is None) == (key == keys.EMBEDDING)
    kernels.append(network.label_head.kernel.whole())
    losses.append(float(loss))
  np.testing.assert_array_equal(kernels[0], kernels[1])
  assert losses[0] == losses[1]


def test_outside_training_nothing_is_updated() -> None:
  head = sharded_head.ShardedLabelSoftmaxHead(num_labels=_LABELS)
  head.build(tf.TensorShape([None, _DIM]))
  head.updater = recorder = _Recorder()
  objective = sharded_label_softmax.ShardedLabelSoftmaxObjective()
  given = (head, tf.constant(_embedding("float32")), tf.constant(_label_ids()))
  loss, metrics = objective.from_embeddings(*given, training=False)
  assert not recorder.gradients
  head.updater = None  # Frozen.
  again, _ = objective.from_embeddings(*given, training=True)
  assert float(loss) == float(again)
  assert metrics.keys() == set(objective.metric_names)


def test_heads_and_objectives_that_do_not_fit_are_refused() -> None:
  class Network:
    label_head = plain_head.LabelSoftmaxHead(num_labels=_LABELS)

  objective = sharded_label_softmax.ShardedLabelSoftmaxObjective()
  with pytest.raises(errors.ConfigError, match="needs a ShardedLabelSoftmax"):
    objective(Network(), {}, training=True)
  with pytest.raises(errors.ConfigError, match="reduction='max'"):
    sharded_label_softmax.ShardedLabelSoftmaxObjective(reduction="max")
