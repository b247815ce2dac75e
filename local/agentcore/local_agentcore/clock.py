"""Time as the emulator sees it, so that a test may pass hours in no time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Returns the current time."""
    return datetime.now(UTC)
