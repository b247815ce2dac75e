"""Reads what the runs of an environment cost from CloudWatch."""
