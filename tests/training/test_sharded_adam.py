import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.models.heads import sharded_label_softmax
from music_embed.training import optimizers, sharded_adam


def _head() -> sharded_label_softmax.ShardedLabelSoftmaxHead:
  head = sharded_label_softmax.ShardedLabelSoftmaxHead(
    num_labels=5, num_blocks=2
  )
  head.build(tf.TensorShape([None, 3]))
  return head


def _options(rate: float = 0.5, **kwargs) -> optimizers.PartOptimizer:
  return optimizers.PartOptimizer(("label_head",), rate, **kwargs)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"optimizer": "sgd_experimental"}, "'sgd_experimental'.*'adam' only"),
    ({"optimizer": "adamw"}, "'adamw'"),
    ({"optimizer_options": {"amsgrad": True}}, "amsgrad is not supported"),
    ({"optimizer_options": {"clipnorm": 1.0}}, "clipnorm is not supported"),
    ({"optimizer_options": {"clipvalue": 1.0}}, "clipvalue is not supported"),
    ({"optimizer_options": {"betta": 1.0}}, "betta"),
  ],
)
def test_what_is_not_plain_adam_is_refused(options, message) -> None:
  with pytest.raises(errors.ConfigError, match=message):
    sharded_adam.ShardedAdam(_head(), _options(**options))


def test_the_first_update_is_the_rate_against_the_gradients_sign() -> None:
  """Adam's m / sqrt(v) is +-1 at first; by hand, for one block of two."""
  head = _head()
  adam = sharded_adam.ShardedAdam(head, _options(0.25))
  assert adam.squared_gradient_norm() is None
  before = head.kernel.whole()
  adam.begin_step()
  d_kernel = np.array([[1.0, -2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, -4.0]])
  adam.apply(0, tf.constant(d_kernel, tf.float32), tf.constant([0.0, 5.0, 0.0]))
  expected = before.copy()
  expected[:3] -= 0.25 * np.sign(d_kernel)
  np.testing.assert_allclose(head.kernel.whole(), expected, atol=1e-6)
  np.testing.assert_allclose(head.bias.whole(), [0, -0.25, 0, 0, 0], atol=1e-6)
  # 1 + 4 + 9 + 16 + 25.
  np.testing.assert_allclose(adam.squared_gradient_norm(), 55.0)
  assert int(adam.iterations) == 1
  adam.begin_step()
  assert adam.squared_gradient_norm() is None


def test_its_rate_follows_warm_up_and_decay() -> None:
  adam = sharded_adam.ShardedAdam(
    _head(), _options(0.4, warmup_steps=4, decay_steps=12)
  )
  rates = []
  for _ in range(13):
    rates.append(float(adam.learning_rate))
    adam.begin_step()
  assert rates[0] == 0.0
  np.testing.assert_allclose(rates[1] * 2, rates[2], rtol=1e-6)
  assert max(rates) == rates[4] > 0.2
  assert rates[12] < 1e-6
  adam = sharded_adam.ShardedAdam(_head(), _options(0.4))
  np.testing.assert_allclose(adam.learning_rate, 0.4)


def test_its_slots_are_not_the_heads_in_a_checkpoint(tmp_path) -> None:
  head = _head()
  head.updater = sharded_adam.ShardedAdam(head, _options())
  path = tf.train.Checkpoint(head=head).write(str(tmp_path / "head"))
  names = [name for name, _ in tf.train.list_variables(path)]
  assert [name.split("/")[:2] for name in names if "head" in name] == [
    ["head", "bias"],
    ["head", "kernel"],
  ]
