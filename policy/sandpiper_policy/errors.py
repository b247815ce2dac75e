"""What can be wrong with a policy."""

from __future__ import annotations


class PolicyError(ValueError):
    """A document that IAM would not have taken, or that this package cannot evaluate. It allows nothing.

    The message names the policy, the statement and the element.
    """
