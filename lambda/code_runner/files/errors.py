"""The error for one file that cannot be returned; it does not fail the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper_contract.files import SkipReason


class FileSkipped(Exception):  # noqa: N818 - it skips a file and does not fail the run
    """Raised when a file cannot be returned. `outputs.collect` catches it and lists the file as skipped."""

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason)
        self.reason = reason
