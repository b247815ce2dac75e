"""Clients for tests that must not call AWS."""

from __future__ import annotations

from typing import NoReturn


class UntouchableClients:
    """Clients that count accesses and return none."""

    def __init__(self) -> None:
        self.touched = 0

    def _refuse(self) -> NoReturn:
        self.touched += 1
        raise RuntimeError("AWS was called")

    sessions = property(_refuse)
    s3 = property(_refuse)

    def invoke(self, timeout_seconds: float) -> NoReturn:  # noqa: ARG002 - the signature of Clients
        self._refuse()
