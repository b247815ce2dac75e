"""Defers termination signals while a block of code must not be interrupted."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command: from Ctrl-C, `kill`, or a terminal that closes."""


@contextmanager
def deferred_signals() -> Generator[None]:
    """Defers termination signals to the end of the block, where they are raised. Ignored signals stay ignored."""
    if threading.current_thread() is not threading.main_thread():  # Python runs signal handlers in the main thread only
        yield
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
    deferred = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in deferred:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in deferred.items():
            signal.signal(number, handler)
    for number in received:
        signal.raise_signal(number)
