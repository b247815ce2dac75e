"""History events with the id of the event before, and their delivery to the log group of the state machine.

MiniStack numbers events of concurrent branches twice, and ignores the logging configuration.
https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import hashlib
import json
import threading
from datetime import datetime
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import cloudwatch_logs, stepfunctions

from local_aws.ministack.patches.stepfunctions_outcomes import redrive_count

MINISTACK_VERSION = "1.5.33"
EXECUTION_DATA = ("input", "output", "parameters")
"""Details that are logged only with `includeExecutionData`."""
MAX_DATA_BYTES = 248 * 1024
"""Longer data is truncated in the log."""
FATAL = ("ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut")
ERROR_SUFFIXES = ("Aborted", "Failed", "TimedOut")
CALLBACK = ".waitForTaskToken"

_adding = threading.Lock()
_previous: contextvars.ContextVar[tuple[str, int]] = contextvars.ContextVar("previous", default=("", 0))
"""The execution and id of the event before, in the same branch."""


def install() -> None:
    """Replaces functions of MiniStack's Step Functions."""
    stepfunctions._add_event = add_event


def add_event(record: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """Adds an event to the history of an execution, and to its log.

    Omits the start of a task with a task token if it has no parameters: a reader of the history takes the token from
    them, so the event is added once, with its parameters.
    """
    scheduled = (details or {}).get("taskScheduledEventDetails", {})
    if CALLBACK in scheduled.get("resource", "") and "parameters" not in scheduled:
        return {}
    arn = record["executionArn"]
    with _adding:
        events = record["events"]
        execution, previous = _previous.get()
        event: dict[str, Any] = {
            "id": len(events) + 1,
            "previousEventId": previous if execution == arn else len(events),
            "type": event_type,
            "timestamp": now_iso(),
            **(details or {}),
        }
        events.append(event)
    _previous.set((arn, event["id"]))
    log_event(record, event)
    return event


def log_event(record: dict[str, Any], event: dict[str, Any]) -> None:
    """Puts an event into the log group of the state machine, if its level includes the event.

    The log delivery of AWS takes seconds and can lose events.
    """
    # A child execution of a Distributed Map has the name of the Map after the name of its state machine.
    machine = stepfunctions._state_machines.get(record["stateMachineArn"].partition("/")[0]) or {}
    configuration = _lower(machine.get("loggingConfiguration") or {})
    if not _is_included(event["type"], configuration.get("level", "OFF")):
        return
    message = json.dumps(_message(record, event, with_data=configuration.get("includeExecutionData", False)))
    stream = _stream(record, machine["name"])
    milliseconds = stepfunctions._iso_to_epoch_ms(event["timestamp"])
    for destination in configuration.get("destinations", []):
        group = destination["cloudWatchLogsLogGroup"]["logGroupArn"].split(":")[6]
        cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
        events = [{"timestamp": milliseconds, "message": message}]
        cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": events})


def _lower(configuration: Any) -> Any:
    """Returns a configuration with the names of the API. MiniStack stores those of a template as they are there."""
    if isinstance(configuration, dict):
        return {f"{name[:1].lower()}{name[1:]}": _lower(value) for name, value in configuration.items()}
    return [_lower(value) for value in configuration] if isinstance(configuration, list) else configuration


def _is_included(event_type: str, level: str) -> bool:
    """Returns whether a level includes events of a type.

    https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level
    """
    if level == "ERROR":
        return event_type == "FailStateEntered" or event_type.endswith(ERROR_SUFFIXES)
    return level == "ALL" or (level == "FATAL" and event_type in FATAL)


def _message(record: dict[str, Any], event: dict[str, Any], *, with_data: bool) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name, value in next((value for key, value in event.items() if key.endswith("EventDetails")), {}).items():
        if name not in EXECUTION_DATA:
            details[name] = value
        elif with_data:
            is_truncated = len(value) > MAX_DATA_BYTES
            details |= {name: value[:MAX_DATA_BYTES], f"{name}Details": {"truncated": is_truncated}}
    return {
        "id": str(event["id"]),
        "type": event["type"],
        "details": details,
        "previous_event_id": str(event.get("previousEventId", 0)),
        "event_timestamp": str(stepfunctions._iso_to_epoch_ms(event["timestamp"])),
        "execution_arn": record["executionArn"],
        "redrive_count": str(redrive_count(record)),
    }


def _stream(record: dict[str, Any], name: str) -> str:
    started = datetime.fromisoformat(record["startDate"].replace("Z", "+00:00"))
    digest = hashlib.sha256(record["executionArn"].encode()).hexdigest()
    return f"states/{name}/{started:%Y-%m-%d-%H-%M}/{digest[:8]}"
