"""Waits for a state that a service reaches some time after a call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 20


def eventually(read: Callable[[], Any], accept: Callable[[Any], bool] = bool) -> Any:
    """Returns what `read` returns as soon as it is accepted."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not accept(found := read()):
        assert time.monotonic() < deadline, f"not accepted: {found}"
        time.sleep(0.05)
    return found
