"""Time as the emulator sees it: the machine's, and as far ahead of it as a test has moved it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
FURTHEST = timedelta(days=3650)
"""How far ahead a clock may be: ten years, so that no date overflows."""


def system_clock() -> datetime:
    """Returns the current time."""
    return datetime.now(UTC)


class MovableClock:
    """A clock that is never turned back. Call it for the time."""

    def __init__(self, source: Clock = system_clock) -> None:
        self._source, self._ahead = source, timedelta()

    def __call__(self) -> datetime:
        """Returns the emulator's time."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Moves it ahead.

        Raises:
            ValueError: back, or further than ten years in all; says what is allowed.
        """
        if not 0 <= seconds <= (FURTHEST - self._ahead).total_seconds():
            raise ValueError(f"advance_seconds is {seconds!r}; allowed: 0 and more, ten years in all")
        self._ahead += timedelta(seconds=seconds)


def seconds_in(body: bytes) -> float:
    """Reads how far to move a clock from a request of the emulator's own API: `{"advance_seconds": 60}`.

    Raises:
        ValueError: it says nothing of the kind; says what is allowed.
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
    raise ValueError('The body has to be {"advance_seconds": N}, a number')
