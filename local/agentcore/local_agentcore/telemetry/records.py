"""The records of the telemetry: data points of metrics, and entries of logs.

The names are those of the documentation. The structure of log entries is an assumption.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

NAMESPACE = "AWS/Bedrock-AgentCore"
SERVICE = "AgentCore.CodeInterpreter"
RESOURCE_TYPE = "AWS::BedrockAgentCore::CodeInterpreterCustom"
SESSION_OPERATION, EXPIRE_OPERATION = "CodeInterpreterSession", "CodeInterpreterSessionExpire"
SECONDS_PER_HOUR = 3600
GIGABYTE = 1024**3


class LogType(StrEnum):
    """The types of logs of an interpreter."""

    APPLICATION = "APPLICATION_LOGS"
    USAGE = "USAGE_LOGS"
    TRACES = "TRACES"


@dataclass(frozen=True)
class DataPoint:
    """A data point of a metric."""

    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str
    timestamp: datetime

    def document(self) -> dict[str, Any]:
        """Returns the data point as JSON values, with the timestamp in seconds since the epoch."""
        return {
            "namespace": NAMESPACE,
            "name": self.name,
            "dimensions": dict(self.dimensions),
            "value": self.value,
            "unit": self.unit,
            "timestamp": self.timestamp.timestamp(),
        }


@dataclass(frozen=True)
class LogEntry:
    """An entry of a log of an interpreter."""

    log_type: LogType
    resource_arn: str
    message: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """Returns the entry as JSON values."""
        return {"logType": self.log_type.value, "resourceArn": self.resource_arn, "message": dict(self.message)}


Record = DataPoint | LogEntry


@dataclass(frozen=True)
class Location:
    """The account and the region of an emulator."""

    account: str
    region: str


@dataclass(frozen=True)
class Usage:
    """What a session used in an interval.

    Attributes:
        seconds: The length of the interval.
        processor_seconds: CPU time.
        byte_seconds: Memory in bytes, times seconds.
    """

    seconds: float = 0
    processor_seconds: float = 0
    byte_seconds: float = 0

    def __add__(self, other: Usage) -> Usage:
        """Returns the usage of two intervals together."""
        return Usage(
            self.seconds + other.seconds,
            self.processor_seconds + other.processor_seconds,
            self.byte_seconds + other.byte_seconds,
        )

    @property
    def vcpu_hours(self) -> float:
        """Returns the CPU time in vCPU-hours."""
        return self.processor_seconds / SECONDS_PER_HOUR

    @property
    def gigabyte_hours(self) -> float:
        """Returns the memory over the interval in GB-hours."""
        return self.byte_seconds / GIGABYTE / SECONDS_PER_HOUR


def usage_points(resource_arn: str, usage: Usage, now: datetime) -> list[DataPoint]:
    """Returns the metrics of usage, for the interpreter and for the account."""
    values = {"CPUUsed-vCPUHours": usage.vcpu_hours, "MemoryUsed-GBHours": usage.gigabyte_hours}
    levels = ({"Service": SERVICE}, {"Service": SERVICE, "Resource": resource_arn})
    return [DataPoint(name, level, value, "None", now) for name, value in values.items() for level in levels]


def usage_entry(
    resource_arn: str, session_id: str, usage: Usage, elapsed_seconds: float, now: datetime, location: Location
) -> LogEntry:
    """Returns the entry of USAGE_LOGS for one interval of a session."""
    message = {
        "event_timestamp": round(now.timestamp() * 1000),
        "resource_arn": resource_arn,
        "service.name": SERVICE,
        "cloud.provider": "aws",
        "cloud.region": location.region,
        "account.id": location.account,
        "region": location.region,
        "resource.id": resource_arn.rpartition("/")[2],
        "session.id": session_id,
        "elapsed_time_seconds": round(elapsed_seconds, 3),
        "codeInterpreter.vcpu.hours.used": usage.vcpu_hours,
        "codeInterpreter.memory.gb_hours.used": usage.gigabyte_hours,
    }
    return LogEntry(LogType.USAGE, resource_arn, message)


@dataclass(frozen=True)
class Trace:
    """The trace that a request belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits.
        parent_id: The span of the caller, or None.
    """

    trace_id: str
    parent_id: str | None

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> Trace:
        """Returns the trace of the headers `traceparent` (W3C) or `X-Amzn-Trace-Id` (X-Ray), or a new trace."""
        match str(parameters.get("traceParent", "")).split("-"):
            case [_, trace_id, parent_id, _] if len(trace_id) == 32:
                return cls(trace_id, parent_id)
            case _:
                pass
        parts = [part.strip().partition("=") for part in str(parameters.get("traceId", "")).split(";")]
        fields = {name: value for name, _, value in parts}
        match fields.get("Root", "").split("-"):
            case ["1", seconds, rest] if len(seconds + rest) == 32:
                return cls(seconds + rest, fields.get("Parent"))
            case _:
                return cls(secrets.token_hex(16), None)


@dataclass(frozen=True)
class Span:
    """The span of one operation.

    Attributes:
        operation: The operation, or `CodeInterpreterSessionExpire`.
        trace: Its trace.
        request_id: The id of the request.
        session_id: The session, or None if it was not started.
        start: When it started.
        latency_ms: How long it took.
        error: The error's name, or None.
        session_seconds: How long the session has existed at its end, or None.
    """

    operation: str
    trace: Trace
    request_id: str
    session_id: str | None
    start: datetime
    latency_ms: float
    error: str | None = None
    session_seconds: float | None = None

    def entry(self, resource_arn: str, span_id: str, location: Location) -> LogEntry:
        """Returns the entry of TRACES."""
        attributes = {
            "aws.operation.name": self.operation,
            "aws.resource.arn": resource_arn,
            "aws.request.id": self.request_id,
            "aws.account.id": location.account,
            "toolsession.id": self.session_id,
            "aws.xray.origin": RESOURCE_TYPE,
            "aws.resource.type": RESOURCE_TYPE,
            "aws.region": location.region,
            "latency_ms": round(self.latency_ms, 3),
            "error_type": self.error,
            "session_duration_s": self.session_seconds,
        }
        start = round(self.start.timestamp() * 1e9)
        duration = round(self.latency_ms * 1e6)
        message = {
            "resource": {"attributes": {"service.name": SERVICE, "cloud.region": location.region}},
            "traceId": self.trace.trace_id,
            "spanId": span_id,
            "parentSpanId": self.trace.parent_id,
            "name": self.operation,
            "kind": "SERVER",
            "startTimeUnixNano": start,
            "endTimeUnixNano": start + duration,
            "durationNano": duration,
            "attributes": {name: value for name, value in attributes.items() if value is not None},
            "status": {"code": "UNSET" if self.error is None else "ERROR"},
        }
        return LogEntry(LogType.TRACES, resource_arn, message)
