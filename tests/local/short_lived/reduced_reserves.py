"""The handler of the session function with reserved times divided by three, so that attempts can be short.

It runs in Lambda instead of `code_runner.handlers`; PYTHONPATH contains this folder.
"""

from __future__ import annotations

from code_runner import operations, run_sessions, session

RESERVES = {
    session: ("COLLECTION_SECONDS",),
    run_sessions: ("COLLECTION_SECONDS", "MIN_REMAINING_SECONDS"),
    operations: ("COLLECTION_SECONDS", "CLEANUP_SECONDS", "MIN_REMAINING_SECONDS", "MIN_EXECUTION_SECONDS"),
}
for module, names in RESERVES.items():
    for name in names:
        setattr(module, name, getattr(module, name) / 3)

from code_runner.handlers import run_operation  # noqa: E402 - after the changes above

__all__ = ["run_operation"]
