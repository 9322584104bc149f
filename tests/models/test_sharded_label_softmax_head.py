import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import errors
from music_embed.models import embedder
from music_embed.models.heads import (
  initial_rows,
  label_softmax,
  projection,
  sharded_checkpoint,
  sharded_label_softmax,
  sharded_rows,
)
from music_embed.training import warm_start

_LABELS, _DIM = 11, 6
_SHAPE = tf.TensorShape([None, _DIM])


def _plain(num_labels=_LABELS) -> label_softmax.LabelSoftmaxHead:
  head = label_softmax.LabelSoftmaxHead()
  head.set_num_labels(num_labels, seed=7)
  head.build(_SHAPE)
  return head


def _sharded(num_blocks=2, num_labels=_LABELS, use_bias=True):
  head = sharded_label_softmax.ShardedLabelSoftmaxHead(
    num_blocks=num_blocks, use_bias=use_bias
  )
  head.set_num_labels(num_labels, seed=7)
  head.build(_SHAPE)
  return head


def _set_bias(head) -> np.ndarray:
  bias = np.linspace(-3.0, 2.0, _LABELS)
  if isinstance(head, sharded_label_softmax.ShardedLabelSoftmaxHead):
    head.bias.assign(lambda start, stop: bias[start:stop])
  else:
    head.bias.assign(bias)
  return bias


@pytest.mark.parametrize(
  ("num_rows", "replicas", "blocks"),
  [(11, 1, 1), (11, 2, 3), (9, 1, 4), (1, 4, 5), (12, 2, 3), (100, 4, 7)],
)
def test_every_row_has_one_place_and_no_block_is_all_padding(
  num_rows: int, replicas: int, blocks: int
) -> None:
  cut = sharded_rows.Partition.of(num_rows, replicas, blocks)
  assert 1 <= cut.num_blocks <= blocks
  rows = [
    cut.first_row(block, replica) + row
    for block in range(cut.num_blocks)
    for replica in range(replicas)
    for row in range(cut.rows)
  ]
  assert rows == list(range(len(rows)))
  assert cut.first_row(cut.num_blocks - 1, 0) < num_rows <= len(rows)
  assert cut.is_padded == (len(rows) > num_rows)


def test_a_large_vocabulary_is_cut_into_blocks_of_itself(mirrored) -> None:
  head = sharded_label_softmax.ShardedLabelSoftmaxHead(num_labels=100_000)
  head.build(tf.TensorShape([None, 2]))
  assert head.partition.num_blocks == 4
  with mirrored(2).scope():
    head = sharded_label_softmax.ShardedLabelSoftmaxHead(num_labels=100_000)
    head.build(tf.TensorShape([None, 2]))
  assert head.partition.num_blocks == 2
  with pytest.raises(errors.ConfigError, match="num_blocks=0"):
    sharded_label_softmax.ShardedLabelSoftmaxHead(num_blocks=0)


def test_rows_are_drawn_by_their_number_alone() -> None:
  def rows(start, stop, seed=3):
    return initial_rows.glorot_uniform(
      seed, num_labels=10_000, dim=3, start=start, stop=stop
    )

  whole = rows(0, 10_000)
  limit = np.sqrt(6.0 / 10_003)
  assert np.abs(whole).max() <= limit * (1 + 1e-6)
  np.testing.assert_allclose(whole.std(), limit / np.sqrt(3.0), rtol=0.02)
  assert len(np.unique(whole[:, 0])) > 9_000
  for start, stop in ((0, 1), (4_000, 4_200), (4_095, 8_193), (9_999, 10_000)):
    np.testing.assert_array_equal(rows(start, stop), whole[start:stop])
  assert not np.array_equal(rows(0, 5, seed=4), whole[:5])


@pytest.mark.parametrize(
  ("replicas", "blocks"), [(1, 1), (1, 3), (2, 2), (4, 1)]
)
def test_both_heads_start_alike_on_any_replicas(
  replicas: int, blocks: int, mirrored
) -> None:
  expected = _plain()
  strategy = (
    tf.distribute.get_strategy() if replicas == 1 else mirrored(replicas)
  )
  with strategy.scope():
    head = _sharded(blocks)
  np.testing.assert_array_equal(head.kernel.whole(), expected.kernel)
  np.testing.assert_array_equal(head.bias.whole(), expected.bias)
  np.testing.assert_array_equal(
    head.label_embeddings(), expected.label_embeddings()
  )
  assert head.count_params() == expected.count_params()


@pytest.mark.parametrize("replicas", [1, 2, 4])
@pytest.mark.parametrize("use_bias", [True, False])
def test_posteriors_are_those_of_a_softmax_over_all_labels(
  replicas: int, use_bias: bool, mirrored
) -> None:
  rng = np.random.default_rng(2)
  embedding = rng.normal(size=(8, _DIM)).astype(np.float32) * 3.0
  ids = [10, 0, 5, 5]
  logits = embedding @ _plain().kernel.numpy().T
  strategy = (
    tf.distribute.get_strategy() if replicas == 1 else mirrored(replicas)
  )
  with strategy.scope():
    head = _sharded(3, use_bias=use_bias)
    if use_bias:
      logits += _set_bias(head)
  expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  own = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(
      np.split(embedding, replicas)[context.replica_id_in_sync_group]
    )
  )
  run = tf.function(
    lambda x: strategy.run(lambda x: head.posteriors(x, ids), (x,))
  )
  parts = strategy.experimental_local_results(run(own))
  found = np.concatenate([part.numpy() for part in parts])
  np.testing.assert_allclose(found, expected[:, ids], rtol=2e-5)
  plain = head.unsharded()
  np.testing.assert_allclose(
    plain.posteriors(embedding, ids), expected[:, ids], rtol=2e-5
  )


def test_the_plain_heads_checkpoint_is_read_by_a_sharded_one_and_back(
  mirrored, tmp_path
) -> None:
  def checkpoint(head):
    return tf.train.Checkpoint(parts=tf.train.Checkpoint(label_head=head))

  plain = _plain()
  plain.kernel.assign(np.random.default_rng(0).normal(size=(_LABELS, _DIM)))
  bias = _set_bias(plain)
  path = checkpoint(plain).write(str(tmp_path / "plain"))
  with mirrored(4).scope():
    head = _sharded(2)
  warm_start.load_parts({"label_head": head}, path)
  np.testing.assert_array_equal(head.kernel.whole(), plain.kernel)
  np.testing.assert_allclose(head.bias.whole(), bias, rtol=1e-6)
  path = checkpoint(head).write(str(tmp_path / "sharded"))
  back = _plain()
  warm_start.load_parts({"label_head": back}, path)
  np.testing.assert_array_equal(back.kernel, plain.kernel)
  np.testing.assert_array_equal(back.bias, plain.bias)


def test_another_vocabulary_is_refused_by_a_warm_start(tmp_path) -> None:
  path = tf.train.Checkpoint(
    parts=tf.train.Checkpoint(label_head=_plain(num_labels=14))
  ).write(str(tmp_path / "other"))
  with pytest.raises(errors.ConfigError, match="does not fit this network"):
    warm_start.load_parts({"label_head": _sharded()}, path)


def test_slices_are_named_as_tensorflow_names_them() -> None:
  rows = _sharded(2).kernel
  assert rows.block_extent(1) == (6, 5)
  assert sharded_checkpoint.slice_spec(6, 5, rows) == "11 6 6,5:0,6"


def test_replicas_rows_cannot_be_mixed_by_accident(mirrored) -> None:
  with mirrored(2).scope():
    head = _sharded()
    with pytest.raises((ValueError, NotImplementedError)):
      tf.convert_to_tensor(head.kernel.block(0))
  embedding = tf.ones([2, _DIM])
  with pytest.raises(errors.ConfigError, match="lie on 2 replicas.*on 1"):
    head.posteriors(embedding, [0])


def test_a_keras_optimiser_cannot_train_it() -> None:
  """It would add up gradients of different labels."""
  head = _sharded()
  assert head.trainable_variables == head.weights == []
  blocks = [head.kernel.block(0), head.bias.block(0)]
  with tf.GradientTape() as tape:
    kernel, bias, _ = head.read(0)
    logits = sharded_label_softmax.block_logits(
      tf.ones([2, _DIM]), kernel, bias
    )
  gradients = tape.gradient(logits, blocks)
  assert gradients == [None, None]
  with pytest.raises(ValueError, match="No gradients provided"):
    tf_keras.optimizers.Adam().apply_gradients(
      zip(gradients, blocks, strict=True)
    )


class _Features(tf_keras.layers.Layer):
  def call(self, windows: tf.Tensor, *, training: bool) -> tf.Tensor:
    return tf.reshape(windows, [-1, 4])


def test_a_network_with_it_gives_no_logits_and_has_it_as_a_part() -> None:
  head = sharded_label_softmax.ShardedLabelSoftmaxHead(num_labels=_LABELS)
  model = embedder.Embedder(
    backbone=_Features(),
    projection=projection.Projection(dim=_DIM),
    label_head=head,
  )
  outputs = model(tf.zeros([2, 2, 2]), training=False)
  assert outputs.keys() == {"embedding"}
  assert head.built
  assert model.parts["label_head"] is head


def test_it_stays_in_float32_under_half_precision(floatx) -> None:
  floatx("float32")
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  head = _sharded()
  assert head.kernel.dtype == tf.float32
  posteriors = head.posteriors(tf.ones([2, _DIM], tf.bfloat16), [1])
  assert posteriors.dtype == tf.float32
