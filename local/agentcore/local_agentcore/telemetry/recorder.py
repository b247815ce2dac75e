"""Records the telemetry of calls and sessions."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..operations import INVOKE
from .meter import Meter
from .payloads import shortened
from .records import (
    EXPIRE_OPERATION,
    SERVICE,
    SESSION_OPERATION,
    DataPoint,
    Location,
    LogEntry,
    LogType,
    Record,
    Span,
    Trace,
    Usage,
    usage_entry,
    usage_points,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ..clock import Clock
    from ..errors import ServiceError
    from ..sessions import Session
    from .feed import Feed

STOP = "StopCodeInterpreterSession"
ERROR_METRICS = ("Throttles", "SystemErrors", "UserErrors")
MEASURED = ("StartCodeInterpreterSession", INVOKE, STOP)
"""The operations that have metrics and spans."""
SAMPLE_SECONDS = 1.0
PAUSE_FACTOR = 20
"""With many sessions, samples are rarer: they take at most a twentieth of the time."""
COUNT_SECONDS, USAGE_SECONDS = 60.0, 60.0
NO_USAGE = Usage()
THROTTLED_STATUS, SERVER_ERROR_STATUS = 429, 500
log = logging.getLogger(__name__)


class Telemetry:
    """Records what the service would deliver. Errors are logged, so that no call fails because of them."""

    def __init__(
        self, feed: Feed, clock: Clock, location: Location, arn_of: Callable[[str], str], live: Callable[[], int],
        *, zero_counts: bool = False,
    ) -> None:  # fmt: skip
        """Creates the recorder.

        Args:
            feed: Where the records go.
            clock: The emulator's clock.
            location: The account and the region.
            arn_of: Returns the ARN of an interpreter's id or ARN.
            live: Returns the number of live sessions.
            zero_counts: The assumption of this name.
        """
        self._feed, self._clock, self._location, self._arn_of, self._live = feed, clock, location, arn_of, live
        self._zero_counts = zero_counts
        self._meters: dict[str, _Metered] = {}
        self._durations: dict[str, float] = {}
        self._counted: tuple[int, datetime] | None = None
        self._sampling: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Starts to measure the usage of live sessions once a second."""
        self._sampling = asyncio.create_task(self._sample_forever())

    def close(self) -> None:
        """Stops to measure."""
        if self._sampling is not None:
            self._sampling.cancel()

    def call_ended(
        self, operation: str, parameters: Mapping[str, Any], result: Mapping[str, Any] | None,
        error: ServiceError | None, started: datetime, latency_ms: float, request_id: str,
    ) -> None:  # fmt: skip
        """Records a call.

        Args:
            operation: The operation. Others than those of `MEASURED` have no telemetry.
            parameters: Its input.
            result: Its output, or None.
            error: Its error, or None.
            started: When the request arrived.
            latency_ms: The time until the response, in milliseconds.
            request_id: The id of the request.
        """
        if operation not in MEASURED:
            return
        arn = self._arn_of(str(parameters["codeInterpreterIdentifier"]))
        dimensions = {"Resource": arn, "Operation": operation}
        counts = {"Invocations": 1, **(dict.fromkeys(ERROR_METRICS, 0) if self._zero_counts else {})}
        if error is not None:
            counts[_error_metric(error)] = 1
        records: list[Record] = [DataPoint(name, dimensions, value, "Count", started) for name, value in counts.items()]
        records.append(DataPoint("Latency", dimensions, latency_ms, "Milliseconds", started))
        session_id = str((result or parameters).get("sessionId") or parameters.get("sessionId") or "") or None
        span_id, trace = secrets.token_hex(8), Trace.parse(parameters)
        span = Span(
            operation, trace, request_id, session_id, started, latency_ms,
            error=None if error is None else error.code, session_seconds=self._age(operation, session_id),
        )  # fmt: skip
        records.append(span.entry(arn, span_id, self._location))
        if operation == INVOKE:
            records.append(self._application_entry(arn, span, span_id, parameters, result))
        self._feed.add(records)

    def _age(self, operation: str, session_id: str | None) -> float | None:
        if operation != STOP or session_id not in self._durations:
            return None
        return self._durations.pop(session_id)

    def _application_entry(
        self, arn: str, span: Span, span_id: str, parameters: Mapping[str, Any], result: Mapping[str, Any] | None
    ) -> LogEntry:
        request = {name: parameters[name] for name in ("name", "arguments") if name in parameters}
        message = {
            "timestamp": span.start.isoformat(),
            "resource_arn": arn,
            "event_timestamp": round(span.start.timestamp() * 1000),
            "account_id": self._location.account,
            "request_id": span.request_id,
            "session_id": span.session_id,
            "trace_id": span.trace.trace_id,
            "span_id": span_id,
            "service_name": SERVICE,
            "operation": span.operation,
            "request_payload": shortened(request),
            "response_payload": None if result is None else shortened(result.get("stream")),
        }
        return LogEntry(LogType.APPLICATION, arn, message)

    def session_started(self, session: Session) -> None:
        """Starts to measure a session."""
        now = self._clock()
        self._meters[session.identifier] = _Metered(session, Meter(session.sandbox, now), now)
        self._count_sessions()

    def session_ending(self, session: Session, *, has_expired: bool) -> None:
        """Records the last usage of a session and its duration, before its sandbox ends."""
        if session.identifier not in self._meters:
            return
        self._sample(self._meters.pop(session.identifier), is_last=True)
        now, arn = self._clock(), session.interpreter.arn
        seconds = (min(now, session.expires) - session.created).total_seconds()
        dimensions = {"Resource": arn, "Operation": SESSION_OPERATION}
        records: list[Record] = [DataPoint("Duration", dimensions, seconds * 1000, "Milliseconds", now)]
        if has_expired:
            trace = Trace.parse({})
            span = Span(
                EXPIRE_OPERATION, trace, secrets.token_hex(16), session.identifier, now, 0, session_seconds=seconds
            )
            records.append(span.entry(arn, secrets.token_hex(8), self._location))
        else:
            self._durations[session.identifier] = seconds
        self._feed.add(records)
        self._count_sessions()

    def _count_sessions(self) -> None:
        """Records the number of live sessions, when it changes and once a minute while there are any."""
        number, now = self._live(), self._clock()
        before = self._counted
        is_due = before is not None and (now - before[1]).total_seconds() >= COUNT_SECONDS
        if before is None or before[0] != number or (number and is_due):
            self._counted = (number, now)
            self._feed.add([DataPoint("ActiveSessionCount", {"Service": SERVICE}, number, "Count", now)])

    async def _sample_forever(self) -> None:
        pause = SAMPLE_SECONDS
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            try:
                self.sample_all()
            except Exception:
                log.exception("The usage of sessions was not measured")
            pause = max(SAMPLE_SECONDS, (time.monotonic() - started) * PAUSE_FACTOR)

    def sample_all(self) -> None:
        """Records the usage of all live sessions since the last sample."""
        for metered in list(self._meters.values()):
            self._sample(metered)
        self._count_sessions()

    def _sample(self, metered: _Metered, *, is_last: bool = False) -> None:
        """Records the usage since the last sample: in USAGE_LOGS when CPU time was used, in metrics once a minute."""
        session = metered.session
        now, arn = min(self._clock(), session.expires), session.interpreter.arn
        is_due = is_last or (now - metered.published).total_seconds() >= USAGE_SECONDS
        usage = metered.meter.read(now)
        metered.since_entry, metered.since_metrics = metered.since_entry + usage, metered.since_metrics + usage
        records: list[Record] = []
        if is_due or metered.since_entry.processor_seconds:
            elapsed = (now - session.created).total_seconds()
            records.append(usage_entry(arn, session.identifier, metered.since_entry, elapsed, now, self._location))
            metered.since_entry = NO_USAGE
        if is_due:
            records += usage_points(arn, metered.since_metrics, now)
            metered.since_metrics, metered.published = NO_USAGE, now
        self._feed.add(records)


@dataclass
class _Metered:
    """A session with its meter.

    Attributes:
        session: The session.
        meter: Its meter.
        published: When its metrics were last published.
        since_entry: The usage since the last entry of USAGE_LOGS.
        since_metrics: The usage since then.
    """

    session: Session
    meter: Meter
    published: datetime
    since_entry: Usage = NO_USAGE
    since_metrics: Usage = NO_USAGE


def _error_metric(error: ServiceError) -> str:
    if error.status == THROTTLED_STATUS:
        return "Throttles"
    return "SystemErrors" if error.status >= SERVER_ERROR_STATUS else "UserErrors"
