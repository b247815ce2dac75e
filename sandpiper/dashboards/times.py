"""Times of dashboards, in seconds since the epoch."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

_STEPS = (60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
"""Seconds between the ticks of a time axis."""


@dataclass(frozen=True)
class Window:
    """The time range that a page shows. The end is excluded."""

    start: int
    end: int

    @classmethod
    def until(cls, end: datetime.datetime, length: datetime.timedelta) -> Window:
        """Returns the window of a length that ends with a minute."""
        last = -(-int(end.timestamp()) // 60) * 60
        return cls(last - int(length.total_seconds()), last)

    @property
    def seconds(self) -> int:
        """The length."""
        return self.end - self.start

    def ticks(self, count: int) -> list[int]:
        """Returns at most `count` round times, at least one second apart."""
        step = next((step for step in _STEPS if self.seconds / step <= count), _STEPS[-1])
        while self.seconds / step > count:
            step *= 2
        return list(range(-(-self.start // step) * step, self.end + 1, step))

    @property
    def text(self) -> str:
        """The start and the end for people."""
        return f"{as_text(self.start)} to {as_text(self.end)} UTC"


def parse_time(text: str) -> int:
    """Parses an ISO 8601 time. A time without a zone is in UTC. Raises ValueError for other text."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; allowed: ISO 8601, such as 2026-11-30T12:00:00Z") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)).timestamp())


def as_text(seconds: float) -> str:
    """Returns a time for people, in UTC, without the name of the zone."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")
