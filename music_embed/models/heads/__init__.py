"""Heads on a backbone: the embedding and the label softmax."""
