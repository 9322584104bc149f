"""Batch keys, frozen types, errors, files and seeds: imports nothing of ours."""
