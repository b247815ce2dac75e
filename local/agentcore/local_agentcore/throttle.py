"""The throttle: one token bucket per operation, refilled by the emulator's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ThrottlingError

if TYPE_CHECKING:
    from datetime import datetime

    from .assumptions import Assumptions
    from .clock import Clock


class Throttle:
    """Admits `per_second` calls of each operation, in bursts up to the assumption `throttle_burst_seconds`."""

    def __init__(self, per_second: float, clock: Clock, assumptions: Assumptions) -> None:
        """Creates full buckets. `per_second` is 0 for no limit."""
        self._per_second, self._clock, self._message = per_second, clock, assumptions.throttled
        self._capacity = max(1.0, per_second * assumptions.throttle_burst_seconds)
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def admit(self, operation: str) -> None:
        """Counts a call.

        Raises:
            ThrottlingError: The call exceeds the rate.
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
