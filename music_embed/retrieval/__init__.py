"""Indexes of embedded recordings, and what one asks them."""
