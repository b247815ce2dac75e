"""A file that does not come back, which costs that file and not the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper_contract.files import SkipReason


class NotKeptError(Exception):
    """Raised where it is known that a file cannot be kept, and caught where files are collected."""

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason)
        self.reason = reason
