"""Sandpiper's own logic and what people type: the environment file and the command line."""
