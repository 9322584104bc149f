"""Readers of recordings tables and listening logs."""
