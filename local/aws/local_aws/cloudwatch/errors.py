"""The error of an invalid query, expression or alarm."""

from __future__ import annotations


class InvalidQueryError(ValueError):
    """CloudWatch rejects the request. The message states the problem and the allowed values."""
