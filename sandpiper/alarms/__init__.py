"""Reads the alarms of an environment, and tests one."""
