"""The error for a policy that the encoding does not cover."""

from __future__ import annotations


class UnsupportedError(Exception):
    """A policy element that the encoding does not cover. The message names it. The proof is then undecided."""
