"""Vocabulary, co-listen graph, factorisation and splits."""
