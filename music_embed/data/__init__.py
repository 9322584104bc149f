"""From tables and logs to the on-disk contract, and from it to batches."""
