"""How many calls of an operation are admitted: a bucket of tokens for each, which fills by the emulator's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ThrottlingError

if TYPE_CHECKING:
    from datetime import datetime

    from .assumptions import Assumptions
    from .clock import Clock


class Throttle:
    """Admits `per_second` calls of each operation, and at once as many as the guess `throttle_burst_seconds` says."""

    def __init__(self, per_second: float, clock: Clock, assumptions: Assumptions) -> None:
        """`per_second` is 0 for no limit."""
        self._per_second, self._clock, self._message = per_second, clock, assumptions.throttled
        self._capacity = max(1.0, per_second * assumptions.throttle_burst_seconds)
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def admit(self, operation: str) -> None:
        """Counts a call.

        Raises:
            ThrottlingError: it is one too many.
        """
        if not self._per_second:
            return
        now = self._clock()
        tokens, since = self._buckets.get(operation, (self._capacity, now))
        tokens = min(self._capacity, tokens + max(0.0, (now - since).total_seconds()) * self._per_second)
        admitted = tokens >= 1
        self._buckets[operation] = (tokens - admitted, now)
        if not admitted:
            raise ThrottlingError(self._message)
