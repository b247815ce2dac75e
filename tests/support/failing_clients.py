"""AWS clients that fail when they are used, for tests of code that must not call AWS."""

from __future__ import annotations

from typing import NoReturn


class FailingClients:
    """Clients that count accesses and raise an error."""

    def __init__(self) -> None:
        """Creates clients that were not accessed."""
        self.accesses = 0

    def _fail(self) -> NoReturn:
        self.accesses += 1
        raise RuntimeError("a client is used")

    sessions = property(_fail)
    s3 = property(_fail)

    def invoke(self, timeout_seconds: float) -> NoReturn:  # noqa: ARG002 - the signature of Clients
        """Fails."""
        self._fail()
