"""Outcomes of executions: each ends once, with its history event and its status event, and can time out.

MiniStack never sets `TIMED_OUT`, lets a failure overwrite a stop, and has no redrives in its responses and events.
https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import json
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import eventbridge, stepfunctions

from local_aws.ministack.patches import service_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Json = Any
    Record = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
UNSUCCESSFUL = ("FAILED", "TIMED_OUT", "ABORTED")
TIMEOUT = "States.Timeout"
REDRIVABLE_PERIOD = timedelta(days=14)
"""https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html"""
TRACE_KEY = "_trace"
"""Key of the id of its trace in the record of an execution."""
MAX_REDRIVABLE_EVENTS = 24_999
MAX_EVENT_PAYLOAD_BYTES = 248 * 1024
"""Larger input and output are not in status events."""
SLEEP_SECONDS = 0.2
"""How often a waiting state looks whether its execution has ended."""
_ending = threading.RLock()
_describe_execution, _list_executions = stepfunctions._describe_execution, stepfunctions._list_executions


@dataclass(frozen=True, eq=False)
class Attempt:
    """One attempt of an execution: the first, or a redrive.

    Attributes:
        record: MiniStack's record of the execution.
        redrive: The number of redrives before and including this attempt.
    """

    record: Record
    redrive: int

    @property
    def is_running(self) -> bool:
        """Whether the execution has not ended since the attempt began, also if it runs again."""
        return self.record["status"] == "RUNNING" and redrive_count(self.record) == self.redrive

    def require_running(self) -> None:
        """Raises MiniStack's exception for a failed state if the attempt has ended, so that no other state begins."""
        if not self.is_running:
            raise stepfunctions._ExecutionError("States.Runtime", "The execution has ended")

    def end(
        self, status: str, *, error: str | None = None, cause: str | None = None, output: str | None = None
    ) -> bool:
        """Ends the execution, unless it has ended. Returns whether this call has ended it."""
        details: Record = {name: value for name, value in (("error", error), ("cause", cause)) if value is not None}
        if output is not None:
            details["output"] = output
        with _ending:
            if not self.is_running:
                return False
            self.record.update(details, stopDate=now_iso())
            event, key = _END_EVENTS[status]
            stepfunctions._add_event(self.record, event, {key: details})
            self.record["status"] = status  # last, so that a reader finds the rest
        service_metrics.record_end(self.record)
        emit_status_event(self.record)
        return True


_END_EVENTS = {
    status: (f"Execution{name}", f"execution{name}EventDetails")
    for status, name in (
        ("SUCCEEDED", "Succeeded"),
        ("FAILED", "Failed"),
        ("TIMED_OUT", "TimedOut"),
        ("ABORTED", "Aborted"),
    )
}
_attempt: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar("attempt", default=None)


@contextmanager
def attempt_of(record: Record) -> Generator[Attempt]:
    """Enters the current attempt of an execution, whose states run in the block."""
    attempt = Attempt(record, redrive_count(record))
    token = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(token)


def current_attempt(record: Record) -> Attempt:
    """Returns the attempt of an execution whose state runs in this context."""
    attempt = _attempt.get()
    return attempt if attempt and attempt.record is record else Attempt(record, redrive_count(record))


def running_record() -> Record:
    """Returns the record of the execution whose state runs in this context. It is empty in TestState."""
    attempt = _attempt.get()
    return attempt.record if attempt else {}


def trace_header() -> str:
    """Returns X-Ray's header for a call of the running state: in the trace of its execution, or in a new one."""
    record = running_record()
    root = record.setdefault(TRACE_KEY, f"1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=1"


def require_running() -> None:
    """Raises MiniStack's exception for a failed state if the attempt whose state runs has ended."""
    attempt = _attempt.get()
    if attempt is not None:
        attempt.require_running()


def install() -> None:
    """Replaces functions of MiniStack's Step Functions."""
    stepfunctions._fail_execution = fail_execution
    stepfunctions._emit_execution_status_event = emit_status_event
    stepfunctions._stop_execution = stop_execution
    stepfunctions._describe_execution = describe_execution
    stepfunctions._list_executions = list_executions
    stepfunctions._scaled_sleep = sleep


def fail_execution(record: Record, error: str, cause: str) -> None:
    """Fails an execution, unless it has ended."""
    current_attempt(record).end("FAILED", error=error, cause=cause)


@contextmanager
def limited(attempt: Attempt, seconds: float | None) -> Generator[None]:
    """Ends the attempt with `TIMED_OUT` when the block runs longer than `TimeoutSeconds` of the state machine."""
    if seconds is None:
        yield
        return
    context = contextvars.copy_context()  # MiniStack finds account and region in it
    timer = threading.Timer(seconds, context.run, (_time_out, attempt))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _time_out(attempt: Attempt) -> None:
    attempt.end("TIMED_OUT", error=TIMEOUT)


def stop_execution(parameters: Record) -> Json:
    """Stops an execution. Stopping one that was stopped has no effect, as the client may repeat the request."""
    record = stepfunctions._executions.get(parameters.get("executionArn"))
    if record is None:
        return missing_execution(parameters)
    stopped = Attempt(record, redrive_count(record)).end(
        "ABORTED", error=parameters.get("error"), cause=parameters.get("cause")
    )
    if not stopped and record["status"] != "ABORTED":
        return error_response_json("ValidationException", "Execution is not running", 400)
    return json_response({"stopDate": record["stopDate"]})


def missing_execution(parameters: Record) -> Json:
    """Returns the error response for an execution that does not exist."""
    arn = parameters.get("executionArn")
    return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)


def describe_execution(parameters: Record) -> Json:
    """Describes an execution, with its redrives."""
    record = stepfunctions._executions.get(parameters.get("executionArn"))
    response = _describe_execution(parameters)
    return response if record is None else _with(response, lambda body: body | _redrive_fields(record))


def list_executions(parameters: Record) -> Json:
    """Lists executions with their redrives, filtered by `redriveFilter`."""
    redrive_filter = parameters.get("redriveFilter")

    def extend(body: Record) -> Record:
        listed: list[Record] = []
        for item in body["executions"]:
            record: Record = stepfunctions._executions.get(item["executionArn"]) or {}
            if redrive_filter not in (None, "REDRIVEN" if redrive_count(record) else "NOT_REDRIVEN"):
                continue
            fields = _redrive_fields(record)
            listed.append(item | {name: fields[name] for name in ("redriveCount", "redriveDate") if name in fields})
        return {**body, "executions": listed}

    return _with(_list_executions(parameters), extend)


def _with(response: Json, change: Callable[[Record], Record]) -> Json:
    """Returns a successful response with a changed body, or the error."""
    status, _, body = response
    return response if status != 200 else json_response(change(json.loads(body)))


def _redrive_fields(record: Record) -> Record:
    reason = not_redrivable(record)
    fields: Record = {"redriveCount": redrive_count(record)}
    if "redriveDate" in record:
        fields["redriveDate"] = record["redriveDate"]
    if record.get("mapRunArn") and record["status"] in UNSUCCESSFUL:
        return fields | {"redriveStatus": "REDRIVABLE_BY_MAP_RUN"}
    if reason is None:
        return fields | {"redriveStatus": "REDRIVABLE"}
    return fields | {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def redrive_count(record: Record) -> int:
    """Returns how often an execution was redriven."""
    return record.get("redriveCount", 0)


def not_redrivable(record: Record) -> str | None:
    """Returns why RedriveExecution refuses an execution, or None."""
    status = record["status"]
    if status not in UNSUCCESSFUL:
        return f"Execution is {status} and cannot be redriven"
    if len(record["events"]) >= MAX_REDRIVABLE_EVENTS:
        return "Execution history event count exceeds the limit and cannot be redriven"
    stopped = datetime.fromisoformat(record["stopDate"].replace("Z", "+00:00"))
    if datetime.now(UTC) - stopped > REDRIVABLE_PERIOD:
        return "Execution has exceeded the redrivable period and cannot be redriven"
    return None


def sleep(seconds: float) -> None:
    """Waits as MiniStack does. Ends the state when its execution has ended."""
    until = time.monotonic() + seconds * stepfunctions._SFN_WAIT_SCALE
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLEEP_SECONDS))
        require_running()


def emit_status_event(record: Record) -> None:
    """Publishes the status of a standard execution to the default event bus. Executions of a Map Run publish theirs."""
    if record.get("express"):
        return
    status, redrive = record["status"], _redrive_fields(record)
    output = record.get("output") if status == "SUCCEEDED" else None
    detail: Record = {
        "executionArn": record["executionArn"],
        "stateMachineArn": record["stateMachineArn"],
        "name": record["name"],
        "status": status,
        "startDate": stepfunctions._iso_to_epoch_ms(record.get("startDate")),
        "stopDate": stepfunctions._iso_to_epoch_ms(record.get("stopDate")),
        **_payload("input", record.get("input")),
        **_payload("output", output),
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": redrive["redriveCount"],
        "redriveDate": stepfunctions._iso_to_epoch_ms(redrive.get("redriveDate")),
        "redriveStatus": redrive["redriveStatus"],
        "redriveStatusReason": redrive.get("redriveStatusReason"),
        "error": record.get("error") if status in UNSUCCESSFUL else None,
        "cause": record.get("cause") if status in UNSUCCESSFUL else None,
    }
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(detail),
        "Resources": [record["executionArn"]],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        stepfunctions.logger.warning("status event not published: %s", record["executionArn"], exc_info=True)


def _payload(name: str, value: str | None) -> Record:
    if value is None:
        return {name: None, f"{name}Details": None}
    is_included = len(json.dumps(value)) <= MAX_EVENT_PAYLOAD_BYTES
    return {name: value if is_included else None, f"{name}Details": {"included": is_included}}
