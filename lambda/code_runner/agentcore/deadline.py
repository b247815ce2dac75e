"""The deadline that all calls of a run share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sandpiper_contract.errors import DeadlineExceeded


@dataclass(frozen=True, eq=False, repr=False)
class Deadline:
    """A point in time on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Returns the deadline that is this many seconds from now."""
        return cls(time.monotonic() + seconds)

    def earlier(self, seconds: float) -> Deadline:
        """Returns a deadline that is this many seconds before this one."""
        return Deadline(self.at - seconds)

    @property
    def seconds_left(self) -> float:
        """The remaining time in seconds; negative after the deadline."""
        return self.at - time.monotonic()

    def require(self, seconds: float, action: str) -> None:
        """Raises DeadlineExceeded unless at least this many seconds remain for the action."""
        if self.seconds_left < seconds:
            raise DeadlineExceeded(
                f"{action}: {max(self.seconds_left, 0):.1f} s are left; at least {seconds:g} s are needed"
            )
