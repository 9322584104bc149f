"""music_embed: content embeddings of music from weak signals."""

__version__ = "0.1.0"
