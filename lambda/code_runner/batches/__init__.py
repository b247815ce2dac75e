"""Batches: one program that runs once for each of many items."""
