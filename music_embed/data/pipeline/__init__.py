"""tf.data sources of training batches."""
