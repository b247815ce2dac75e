"""The event loop of cells: one per kernel, which runs while a cell awaits.

A cell may use top-level `await`, `asyncio.run()`, and `run_until_complete()` of the current loop. Tasks of the loop
continue when it runs again, also in a later cell.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")

_kernel_loop: asyncio.AbstractEventLoop | None = None


def ensure_current() -> None:
    """Sets the loop of the kernel as the current one if there is no other. `asyncio.run()` leaves none.

    Creates another loop after code has closed it.
    """
    global _kernel_loop
    if _kernel_loop is not None:
        with suppress(RuntimeError):  # there is no current loop
            if not asyncio.get_event_loop().is_closed():
                return
    if _kernel_loop is None or _kernel_loop.is_closed():
        _kernel_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_kernel_loop)


def run(coroutine: Coroutine[object, object, Result]) -> Result:
    """Runs a cell with a top-level `await` in the current loop. An interrupt cancels the cell but no other task."""
    loop = asyncio.get_event_loop()
    cell = loop.create_task(coroutine)
    with suppress(KeyboardInterrupt):
        return loop.run_until_complete(cell)
    # The interrupt came while the cell waited. Without this, the cell would continue when the loop runs again.
    cell.cancel()
    return loop.run_until_complete(cell)
