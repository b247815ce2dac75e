"""How much time a run has, as one moment that every call of it looks at."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sandpiper_contract.errors import DeadlineExceeded


@dataclass(frozen=True, eq=False, repr=False)
class Deadline:
    """A moment on the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def earlier(self, seconds: float) -> Deadline:
        """A moment before this one, for what has to leave time for something else."""
        return Deadline(self.at - seconds)

    @property
    def seconds_left(self) -> float:
        """Negative when it has passed."""
        return self.at - time.monotonic()

    def require(self, seconds: float, doing: str) -> None:
        """Raises DeadlineExceeded unless so many seconds are left."""
        if self.seconds_left < seconds:
            raise DeadlineExceeded(
                f"{doing}: {max(self.seconds_left, 0):.1f} s are left; at least {seconds:g} s are needed"
            )
