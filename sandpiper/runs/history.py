"""The steps of an execution and their attempts, from its history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.runs.executions import error_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import boto3

ACTIONS = "states:GetExecutionHistory"
Event = Mapping[str, Any]
"""An event of a history, as GetExecutionHistory returns it."""
MAX_PAGE, NEW_PAGE = 1_000, 100
"""https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html"""
_SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled")
_FAILURES = ("Failed", "TimedOut")
"""How the types of events end that fail an attempt: `TaskFailed`, `LambdaFunctionTimedOut`, `TaskSubmitFailed`, …"""
_ATTEMPTS = ("Task", "LambdaFunction", "Activity")


@dataclass
class Attempt:
    """One attempt of a task.

    Attributes:
        started: when it was scheduled.
        ended: when it succeeded or failed; None if it did neither.
        error: the name of its error; empty without one.
        message: the message of its error; empty without one.
    """

    started: datetime
    ended: datetime | None = None
    error: str = ""
    message: str = ""


@dataclass
class Step:
    """One visit of a state.

    Attributes:
        name: the name of the state.
        type: its type, such as `Task`.
        entered: when it was entered.
        exited: when it was exited; None if it was not.
        attempts: the attempts of a task.
        output: its output; None if there is none or it is not JSON.
    """

    name: str
    type: str
    entered: datetime
    exited: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    output: object = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        return None if self.exited is None else (self.exited - self.entered).total_seconds()


def read_events(session: boto3.Session, execution: str, after: int = 0) -> list[Event]:
    """Returns the events of the history of an execution, the oldest first.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        after: only events with a higher id, without reading the pages before it. Default: all.

    Raises:
        CliError: The history cannot be read.
    """
    client, found = session.client("stepfunctions"), list[Event]()
    with aws_errors_as_cli_errors(ACTIONS):
        pages = client.get_paginator("get_execution_history").paginate(
            executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": NEW_PAGE if after else MAX_PAGE}
        )
        for page in pages:
            new = [cast("Event", event) for event in page["events"] if event["id"] > after]
            found += new
            if len(new) < len(page["events"]):
                break
    return found[::-1]


def steps_of(events: Iterable[Event]) -> list[Step]:
    """Returns the visited states of a history.

    An event belongs to the state of its previous event. Branches of a Parallel state or a Map run at the same time, so
    the order of events does not suffice.

    Args:
        events: the events of GetExecutionHistory, the oldest first.
    """
    steps: list[Step] = []
    step_of: dict[int, Step] = {}
    for event in events:
        kind: str = event["type"]
        if entered := event.get("stateEnteredEventDetails"):
            step = Step(entered["name"], kind.removesuffix("StateEntered"), event["timestamp"])
            steps.append(step)
        else:
            # The embedded AWS has no previous event ids, and no events of branches.
            previous = event.get("previousEventId")
            step = step_of.get(previous) if previous else (steps[-1] if steps else None)
        if step is None:
            continue
        step_of[event["id"]] = step
        _apply(step, kind, event)
    return steps


def _apply(step: Step, kind: str, event: Event) -> None:
    """Adds what an event states to its step."""
    if kind in _SCHEDULED:
        step.attempts.append(Attempt(event["timestamp"]))
    elif exited := event.get("stateExitedEventDetails"):
        step.exited = event["timestamp"]
        step.output = _as_json(exited.get("output", ""))
    elif kind.startswith(_ATTEMPTS) and step.attempts:
        details = _details(event)
        attempt = step.attempts[-1]
        if kind.endswith("Succeeded"):
            attempt.ended = event["timestamp"]
        elif kind.endswith(_FAILURES):
            attempt.ended = event["timestamp"]
            attempt.error = details.get("error") or ("States.Timeout" if kind.endswith("TimedOut") else kind)
            attempt.message = error_message(details.get("cause", ""))


def last_output(steps: Iterable[Step]) -> tuple[str, str] | None:
    """Returns the last lines of stdout and stderr of a command that has not ended, from the last poll, if any."""
    for step in reversed(list(steps)):
        if isinstance(step.output, dict):
            state = cast("dict[str, Any]", step.output)
            if state.get("ended") is False:
                return state.get("stdout", ""), state.get("stderr", "")
    return None


def _details(event: Event) -> Mapping[str, Any]:
    found: Iterator[Any] = (value for key, value in event.items() if key.endswith("EventDetails"))
    return next(found, dict[str, Any]())


def _as_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
