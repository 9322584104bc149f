import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import errors
from music_embed.models.heads import label_logistic


def test_each_labels_posterior_is_its_own_logistic() -> None:
  head = label_logistic.LabelLogisticHead(num_labels=3)
  embedding = tf.constant([[1.0, 0.0], [0.0, 2.0]])
  head(embedding)
  head.kernel.assign(np.log([[2.0, 1.0], [3.0, 1.0], [1.0, 2.0]]))
  head.bias.assign(np.log([1.0, 1.0, 0.5]))
  # Odds of label 1: 3 for the first row, 1 for the second; of label 2: .5
  # and .5 * 2 ** 2 = 2.
  np.testing.assert_allclose(
    head.posteriors(embedding, [1, 2]), [[3 / 4, 1 / 3], [1 / 2, 2 / 3]], 1e-5
  )


def test_every_label_starts_at_the_prior() -> None:
  head = label_logistic.LabelLogisticHead(num_labels=3, prior=0.05)
  nothing = tf.zeros([1, 2])
  head(nothing)
  np.testing.assert_allclose(
    head.posteriors(nothing, [0, 2]), [[0.05, 0.05]], rtol=1e-5
  )


def test_a_prior_that_is_no_probability_is_refused() -> None:
  with pytest.raises(errors.ConfigError, match="prior = 1"):
    label_logistic.LabelLogisticHead(prior=1.0)
