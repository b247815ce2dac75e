"""The emulator's clock: the system's time plus the advance that tests have requested."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
MAX_ADVANCE = timedelta(days=3650)
"""Ten years, so that no date overflows."""


def system_clock() -> datetime:
    """Returns the current time."""
    return datetime.now(UTC)


class AdjustableClock:
    """A clock that can be advanced and never set back. Calling it returns the time.

    Example:
        ```python
        clock = AdjustableClock()
        clock.advance(900)
        clock() - system_clock()  # 15 minutes
        ```
    """

    def __init__(self, source: Clock = system_clock) -> None:
        self._source, self._ahead = source, timedelta()

    def __call__(self) -> datetime:
        """Returns the emulator's time."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Advances the clock.

        Raises:
            ValueError: `seconds` is negative, or the clock would be more than ten years ahead.
        """
        if not 0 <= seconds <= (MAX_ADVANCE - self._ahead).total_seconds():
            raise ValueError(f"advance_seconds is {seconds!r}; allowed: 0 or more, ten years in total")
        self._ahead += timedelta(seconds=seconds)


def parse_advance(body: bytes) -> float:
    """Returns the seconds in a request body of the form `{"advance_seconds": 60}`.

    Raises:
        ValueError: The body does not have this form.
    """
    try:
        match json.loads(body):
            case {"advance_seconds": int() | float() as seconds, **others} if not isinstance(seconds, bool):
                if not others:
                    return seconds
            case _:
                pass
    except (ValueError, RecursionError):
        pass
    raise ValueError('The body is not of the form {"advance_seconds": N}; N is a number')
