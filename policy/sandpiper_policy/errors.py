"""The error that policy parsing raises."""

from __future__ import annotations


class PolicyError(ValueError):
    """A policy document that IAM rejects, or that this package cannot evaluate.

    The message names the policy, the statement and the element. Treat such a policy as one that allows nothing.
    """
