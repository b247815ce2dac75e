"""Signals that would interrupt, held back while something is done that must not be left half-done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a person, or a terminal that is closed, ends a command with."""


@contextmanager
def deferred_signals() -> Generator[None]:
    """Holds them back for a block; what came is raised at its end, and what is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():  # no signal interrupts it
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
    held = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in held:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)
