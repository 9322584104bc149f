"""Metrics, link and label prediction, baselines and the report."""
