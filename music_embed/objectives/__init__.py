"""Losses and mining: pure functions first, thin classes second."""
