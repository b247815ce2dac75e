"""The feed of telemetry records: the latest are kept for the admin API, and all are sent to the AWS emulator.

Application logs, which contain code and output, are sent only.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from ..errors import InternalServerError
from .records import DataPoint, LogEntry, LogType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .records import Record

MAX_KEPT = 10_000
"""Records that the admin API returns at most, and that wait to be sent at most. Older ones are dropped."""
PAUSE_SECONDS = 0.05
"""How long records are collected before they are sent together."""
log = logging.getLogger(__name__)


class Feed:
    """Numbers the records and sends them in order, in the background: no call waits for it.

    Args:
        send: Sends a document. None: records are kept only.
    """

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]] | None) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._kept: deque[tuple[int, Record]] = deque(maxlen=MAX_KEPT)
        self._waiting: deque[Record] = deque(maxlen=MAX_KEPT)
        self._batches = itertools.count(1)
        self._advanced: list[float] = []
        self._added = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def add(self, records: Sequence[Record]) -> None:
        """Adds records."""
        kept = (record for record in records if not _has_user_code(record))
        self._kept.extend((next(self._numbers), record) for record in kept)
        if self._send is not None and records:
            self._waiting.extend(records)
            self._added.set()

    def kept(self, after: int) -> dict[str, Any]:
        """Returns the kept records with a number greater than `after`, and the last number."""
        found = [(number, record) for number, record in self._kept if number > after]
        return {"last": found[-1][0] if found else after, **documents([record for _, record in found])}

    def open(self) -> None:
        """Starts to send."""
        if self._send is not None:
            self._sending = asyncio.create_task(self._send_all(self._send))

    def close(self) -> None:
        """Stops to send. Records that wait are dropped: the AWS emulator ends too."""
        if self._sending is not None:
            self._sending.cancel()

    def advance(self, seconds: float) -> None:
        """Reports that the emulator's clock was advanced."""
        if self._send is not None:
            self._advanced.append(seconds)
            self._added.set()

    async def _send_all(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        while True:
            await self._added.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._added.clear()
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            advanced = sum(self._advanced)
            self._advanced.clear()
            try:
                await send({"batch": next(self._batches), "advancedSeconds": advanced, **documents(batch)})
            except InternalServerError as error:
                log.warning("%d telemetry records were not delivered: %s", len(batch), error)


def _has_user_code(record: Record) -> bool:
    return isinstance(record, LogEntry) and record.log_type is LogType.APPLICATION


def documents(records: Sequence[Record]) -> dict[str, Any]:
    """Returns records as JSON values, metrics and logs apart."""
    return {
        "metrics": [record.document() for record in records if isinstance(record, DataPoint)],
        "logs": [record.document() for record in records if not isinstance(record, DataPoint)],
    }
