"""Strategies, optimisers, the inner step and the orbit loop."""
