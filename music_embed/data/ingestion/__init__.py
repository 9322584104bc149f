"""Audio files to shards of log-mels, in worker processes that may die."""
