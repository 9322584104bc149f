import numpy as np
import tensorflow as tf

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
