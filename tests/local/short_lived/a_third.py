"""The session function's handler, which keeps a third of the time for what comes last: its attempts may be short.

It runs in Lambda, in place of `code_runner.handlers`; PYTHONPATH leads here.
"""

from __future__ import annotations

from code_runner import operations, session

RESERVES = {
    session: ("COLLECTION_SECONDS",),
    operations: ("COLLECTION_SECONDS", "CLEANUP_SECONDS", "MIN_REMAINING_SECONDS", "MIN_EXECUTION_SECONDS"),
}
for module, names in RESERVES.items():
    for name in names:
        setattr(module, name, getattr(module, name) / 3)

from code_runner.handlers import run_operation  # noqa: E402 - it reads them

__all__ = ["run_operation"]
