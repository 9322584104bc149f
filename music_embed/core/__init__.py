"""Batch keys, frozen types, errors, files and seeds."""
