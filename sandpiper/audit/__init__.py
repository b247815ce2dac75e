"""Checks the audit trail of an environment: whether it exists, records, and selects the events of the environment."""
